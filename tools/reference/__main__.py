"""Write docs/reference: ``.venv/bin/python -m tools.reference [--check]``."""

from __future__ import annotations

import sys

from tools.reference import FOLDER, ROOT, commands, events, settings

#: The pages, each with what makes its text.
PAGES = {
    "commands.md": commands.page,
    "settings.md": settings.page,
    "events.md": events.page,
}


def main(arguments: list[str]) -> int:
    """Write the pages; with ``--check`` only say which of them are out of date."""
    if arguments not in ([], ["--check"]):
        print("usage: .venv/bin/python -m tools.reference [--check]", file=sys.stderr)
        return 2
    stale = []
    for name, page in PAGES.items():
        place, text = FOLDER / name, page()
        if place.exists() and place.read_text() == text:
            continue
        stale.append(place.relative_to(ROOT).as_posix())
        if not arguments:
            place.write_text(text)
    if arguments and stale:
        print(f"out of date: {', '.join(stale)}", file=sys.stderr)
        print("  next: .venv/bin/python -m tools.reference", file=sys.stderr)
        return 1
    print(*(f"written: {name}" for name in stale), sep="\n", end="\n" if stale else "")
    return 0


sys.exit(main(sys.argv[1:]))
