"""The reference of events, from rolecall/events.py and the lines of a real run."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

from rolecall import events
from tools.reference import FOLDER, MADE, cell, code, plain

#: Lines of real runs, one for each kind of event.
EXAMPLES = FOLDER / "events.jsonl"


def kinds() -> list[type[events.Event]]:
    """Every kind of event, as they stand in the module."""
    return [
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and issubclass(kind, events.Event) and kind is not events.Event
    ]


def examples() -> dict[str, dict[str, Any]]:
    """The recorded line of each kind."""
    lines = map(json.loads, EXAMPLES.read_text().splitlines())
    return {line["event"]: line for line in lines}


def page() -> str:
    """The page."""
    shown = examples()
    parts = [
        "# Events",
        MADE,
        "What a run says, it says as events. `--json` prints one a line, and "
        "`.rolecall/runs/RUN.jsonl` keeps them. Every event has `event`, its kind; `at`, when (ISO "
        "8601 in UTC); and `host`, the name in the inventory, empty where it is about the run as a "
        "whole. A secret is in none of them.",
        "A program that reads them has to pass over kinds and fields that it does not know: later "
        "versions may add some.",
    ]
    for kind in kinds():
        parts += [f"## {kind.event}", _about(kind), _fields(kind)]
        if kind.event in shown:
            line = json.dumps(shown[kind.event], ensure_ascii=False)
            parts.append(f"```json\n{line}\n```")
    recap = json.dumps(shown["recap"], ensure_ascii=False)
    parts += [
        "## recap",
        "The last line of a run: how many resources of each host had each outcome. `would change` "
        "and `unknown until` count as changed.",
        f"```json\n{recap}\n```",
        "## Outcomes",
        "An `outcome` is one of "
        + ", ".join(code(name) for name in events.COUNTS_AS)
        + "; the [glossary](../glossary.md) says what each means.",
    ]
    return "\n\n".join(parts) + "\n"


def _sentence(text: str) -> str:
    return plain(text[:1].upper() + text[1:])


def _about(kind: type[events.Event]) -> str:
    return plain((inspect.getdoc(kind) or "").partition("Attributes:\n")[0].strip())


def _fields(kind: type[events.Event]) -> str:
    texts = _texts(kind)
    rows = []
    for owner in reversed(kind.__mro__):
        for name, annotation in vars(owner).get("__annotations__", {}).items():
            if name != "host" and not str(annotation).startswith("ClassVar"):
                shown = str(annotation).replace("Literal", "")
                rows.append(
                    f"| `{name}` | {cell(code(shown))} | {cell(_sentence(texts.get(name, '')))} |"
                )
    if not rows:
        return "No further fields."
    return "\n".join(["| field | type | meaning |", "|---|---|---|", *rows])


def _texts(kind: type[events.Event]) -> dict[str, str]:
    """What the docstrings say of each field, of the kind and of what it derives from."""
    texts: dict[str, str] = {}
    for owner in reversed(kind.__mro__):
        if owner.__module__ == events.__name__:
            texts |= _attributes(inspect.getdoc(owner) or "")
    return texts


def _attributes(docstring: str) -> dict[str, str]:
    """The section ``Attributes`` of a docstring, by name."""
    texts: dict[str, str] = {}
    for line in docstring.partition("Attributes:\n")[2].splitlines():
        found = re.fullmatch(r" {4}(\w+): (.*)", line)
        if found:
            texts[found[1]] = found[2]
        elif texts:
            texts[[*texts][-1]] += " " + line.strip()
    return texts
