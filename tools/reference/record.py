"""Take the example of each kind of event from the logs of real runs.

``python -m tools.reference.record [FROM=TO…] RUN.jsonl…`` writes docs/reference/events.jsonl.
A path that is one's own machine's is replaced: /home/me=/home/joe, as on the other pages.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tools.reference.events import EXAMPLES, kinds

#: More of a list than this is left out of an example.
_MOST = 3


def main(arguments: list[str]) -> None:
    """Write the first line of each kind, in the order of the module, the recap last."""
    replaced = [one.split("=", 1) for one in arguments if "=" in one]
    logs = [one for one in arguments if "=" not in one]
    found: dict[str, dict[str, Any]] = {}
    for log in logs:
        for text in Path(log).read_text().splitlines():
            for before, after in replaced:
                text = text.replace(before, after)
            line = json.loads(text)
            if "by" in line:
                line["by"] = "joe@desk"
            if line["event"] not in found or _says_more(line, found[line["event"]]):
                found[line["event"]] = line
    names = [*(kind.event for kind in kinds()), "recap"]
    if missing := [name for name in names if name not in found]:
        sys.exit(f"none of these runs has: {', '.join(missing)}")
    EXAMPLES.write_text("".join(json.dumps(_shortened(found[name])) + "\n" for name in names))


def _says_more(line: dict[str, Any], than: dict[str, Any]) -> bool:
    """Of resources one that changed is the better example."""
    return line["event"] == "resource" and bool(line["changes"]) > bool(than["changes"])


def _shortened(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, list):
        return [_shortened(one) for one in value[:_MOST]]
    if isinstance(value, dict):
        return {key: _shortened(one) for key, one in value.items()}
    return value


if __name__ == "__main__":
    main(sys.argv[1:])
