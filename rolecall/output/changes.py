"""Changes as people read them: digests shortened, long values cut to what differs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rolecall.output.text import Charset
from rolecall.resource import Change

#: Characters of a value that are shown, unless all of it is asked for.
VALUE = 56

#: Fields of a change that are shown, unless all are asked for.
FIELDS = 8

#: Lines of texts that are new as a whole which are shown, unless all of them are asked for.
NEW_LINES = 20

_NEW = "@@ -0,0 "

_DIGEST = re.compile(r"((?:[a-z0-9]+:)?[0-9a-f]{8})[0-9a-f]{24,120}")


@dataclass(frozen=True)
class Shown:
    """One change, ready to be put on a line; ``before`` None when there was nothing."""

    field: str
    before: str | None
    after: str | None

    def line(self, charset: Charset, colon: str = ":") -> str:
        """Such as ``mode: 644 → 600``."""
        if self.before is None:
            return f"{self.field}{colon} {self.after}"
        after = "nothing" if self.after is None else self.after
        return f"{self.field}{colon} {self.before} {charset.arrow} {after}"


def shown(
    changes: Sequence[Change], charset: Charset, *, full: bool = False, diffed: bool = False
) -> tuple[list[Shown], int]:
    """The changes to show and how many more there are.

    ``full`` asks for every field and values uncut but for digests. Where the text itself is
    shown as well (``diffed``), its digest says nothing more and is left out.
    """
    if diffed and not full:
        changes = [change for change in changes if not _is_digest(change.after)] or changes[:1]
    kept = changes if full else changes[:FIELDS]
    return [_show(change, charset, full) for change in kept], len(changes) - len(kept)


def folded(
    diffs: Sequence[tuple[str, Sequence[str]]], *, full: bool = False
) -> tuple[Sequence[tuple[str, Sequence[str]]], str]:
    """The texts' differences to show, as paths and lines, and what stands for all others.

    Texts that are new as a whole are counted where they are long: a first deploy brings programs
    of thousands of lines, which would hide what is changed. ``full`` asks for everything.
    """
    new = [(path, len(lines) - 1) for path, lines in diffs if lines[0].startswith(_NEW)]
    total = sum(size for _, size in new)
    if full or total <= NEW_LINES:
        return diffs, ""
    what = new[0][0] if len(new) == 1 else f"{len(new)} files"
    rest = [(path, lines) for path, lines in diffs if not lines[0].startswith(_NEW)]
    return rest, f"{what}: new, {total} lines; -v shows them"


def _is_digest(value: str | None) -> bool:
    return bool(value and _DIGEST.fullmatch(value))


def _show(change: Change, charset: Charset, full: bool) -> Shown:
    before, after = change.before, change.after
    texts = [before, after]
    if not full:
        texts = [_one_line(before, after), _one_line(after, before)]
    at = _first_difference(*texts)
    texts = [_cut(text, at, charset, full) for text in texts]
    values = [None if text is None else _visible(charset.text(text)) for text in texts]
    if values[0] == values[1]:  # both masked
        values[0] = None
    return Shown(charset.text(change.field), values[0], values[1])


def _one_line(value: str | None, other: str | None) -> str | None:
    """Of a text of several lines, the first that differs from ``other``."""
    if value is None or "\n" not in value:
        return value
    lines = value.split("\n")
    others = (other or "").split("\n")
    at = next(
        (i for i, line in enumerate(lines) if i >= len(others) or line != others[i]),
        len(lines) - 1,
    )
    return f"{lines[at]} (+{len(lines) - 1} lines)"


def _first_difference(left: str | None, right: str | None) -> int:
    if left is None or right is None:
        return 0
    pairs = zip(left, right, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))


def _cut(value: str | None, at: int, charset: Charset, full: bool) -> str | None:
    """At most :data:`VALUE` characters, with the place where the difference begins.

    A digest is always short: all of it is in the run's log.
    """
    if value is None:
        return None
    if match := _DIGEST.fullmatch(value):
        return match.group(1) + charset.ellipsis
    if full or len(value) <= VALUE:
        return value
    start = max(0, min(at - VALUE // 3, len(value) - VALUE)) if at > VALUE // 2 else 0
    part = value[start : start + VALUE]
    head = charset.ellipsis if start else ""
    tail = charset.ellipsis if start + VALUE < len(value) else ""
    return f"{head}{part}{tail}"


def _visible(value: str) -> str:
    """Quoted where its ends would not show."""
    return value if value and value == value.strip() else f'"{value}"'
