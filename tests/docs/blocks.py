"""The command blocks of the documentation, and the markers that say how each is run.

A marker is a comment in the line above the block, which no reader sees::

    <!-- run: local -->
    <!-- run: local status=1 -->
    <!-- not run: needs a GPU -->
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: Where commands can be run, and what each place is: docs/testing.md explains them to writers.
CONTEXTS = ("project", "local", "ssh", "cluster")

#: The folder of the pages that are made from the code.
GENERATED = "reference"

_FENCE = re.compile(
    r"^(?P<fence>```+)(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=fence)[ ]*$", re.M | re.S
)
_LANGUAGES = {"sh", "console", "shell", "bash"}
_MARKER = re.compile(r"<!-- (?:run: (?P<how>[^\n]+?)|not run: (?P<reason>[^\n]+?)) -->")
_INDENTED = re.compile(r"(?:^|\n\n)(?: {4}[^\n]*\n)* {4}(?:\./(?:inv|fab)|sh tools/) [^\n]*")

# What a step says that takes more than some seconds: on a busy machine more of them do.
_PASSING = re.compile(r"\S+ +(?:applying|waiting) ")


class MarkerError(Exception):
    """A block without a marker, or with one that means nothing."""


@dataclass(frozen=True)
class Command:
    """One command and what the page says that it prints; ``shown`` is empty if it says nothing."""

    text: str
    shown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Block:
    """A block of commands.

    Attributes:
        place: the page and the line, as ``docs/x.md:12``.
        context: one of ``CONTEXTS``; empty where it is not run.
        stage: ``first`` before all other blocks of its context, ``last`` after them, else empty.
        status: the exit status of its last command.
    """

    place: str
    commands: tuple[Command, ...]
    context: str = ""
    stage: str = ""
    status: int = 0


def pages() -> list[Path]:
    """Every page that users read, but for what is made from the code."""
    found = sorted((ROOT / "docs").rglob("*.md"))
    roles = sorted((ROOT / "roles").glob("*/README.md"))
    written = (page for page in found if page.parent.name != GENERATED)
    return [ROOT / "README.md", *written, *roles]


def blocks(page: Path) -> Iterator[Block]:
    """The command blocks of a page.

    Raises:
        MarkerError: a block has no marker, or one that cannot be read.
    """
    text = page.read_text()
    name = page.relative_to(ROOT).as_posix() if page.is_relative_to(ROOT) else page.name
    for found in _FENCE.finditer(text):
        if found["language"] not in _LANGUAGES:
            continue
        place = f"{name}:{text.count(chr(10), 0, found.start()) + 1}"
        above = text[: found.start()].rstrip("\n").rpartition("\n")[2]
        marker = _MARKER.fullmatch(above)
        if not marker:
            raise MarkerError(
                f"{place}: this block has no marker. Write <!-- run: CONTEXT --> above it "
                f"({', '.join(CONTEXTS)}), or <!-- not run: REASON -->; see docs/testing.md"
            )
        commands = tuple(_commands(found["language"], found["text"]))
        if marker["reason"]:
            yield Block(place, commands)
            continue
        yield _marked(place, commands, marker["how"])


def unfenced(page: Path) -> list[str]:
    """Indented commands, which can have no marker."""
    without = _FENCE.sub(lambda found: "\n" * found[0].count("\n"), page.read_text())
    return [found[0].strip() for found in _INDENTED.finditer(without)]


def _marked(place: str, commands: tuple[Command, ...], how: str) -> Block:
    context, *words = how.split()
    block = Block(place, commands, context)
    if context not in CONTEXTS:
        raise MarkerError(f"{place}: there is no context {context}; {', '.join(CONTEXTS)}")
    for word in words:
        if word in {"first", "last"}:
            block = Block(place, commands, context, word, block.status)
        elif re.fullmatch(r"status=\d+", word):
            block = Block(place, commands, context, block.stage, int(word[7:]))
        else:
            raise MarkerError(f"{place}: {word!r} means nothing in a marker")
    return block


def _commands(language: str, text: str) -> Iterator[Command]:
    if language != "console":
        yield Command(text)
        return
    current: str | None = None
    shown: list[str] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            if current is not None:
                yield Command(current, _stripped(shown))
            current, shown = line[2:], []
        elif current is not None and current.endswith("\\"):
            current += "\n" + line
        elif current is not None:
            shown.append(line)
    if current is not None:
        yield Command(current, _stripped(shown))


def _stripped(lines: list[str]) -> tuple[str, ...]:
    return tuple("\n".join(lines).strip("\n").split("\n")) if any(lines) else ()


def difference(shown: tuple[str, ...], printed: str) -> str:
    """What a page shows and the command did not print; empty where all is there.

    The lines have to follow each other; those that tell only that a step takes long do not count.
    ``…`` in a line stands for any text, and as a line of its own for any number of lines.
    """
    lines = [line.rstrip() for line in printed.splitlines() if not _PASSING.match(line)]
    text = "".join(line + "\n" for line in lines)
    for count in range(1, len(shown) + 1):
        if not re.search(_pattern(shown[:count]), text, re.MULTILINE):
            return f"the page shows, and it was not printed there: {shown[count - 1]}"
    return ""


def _pattern(shown: tuple[str, ...]) -> str:
    parts = [
        r"(?:[^\n]*\n)*?"
        if line.strip() == "…"
        else r"[^\n]*".join(map(re.escape, line.rstrip().split("…"))) + r"\n"
        for line in shown
    ]
    return "^" + "".join(parts)
