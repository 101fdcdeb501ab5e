"""Pages of the documentation that are made from the code: ``python -m tools.reference``."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "reference"

#: The first lines of every page, below its title.
MADE = "<!-- Made by .venv/bin/python -m tools.reference from the code; changes here are lost. -->"


def cell(text: str) -> str:
    """Text as one cell of a table: one line, and no bar that would end the cell."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """Text as code, also where it has backquotes."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def plain(text: str) -> str:
    """A docstring as Markdown: its ``code`` and :class:`roles` are `code`."""
    import re

    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")
