"""Text that is safe to show: no control characters, nothing the terminal cannot encode."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rolecall.events import Outcome

#: Characters of one line that are ever shown; output beyond it is data, not a message.
LONGEST = 2000

# Whole escape sequences go: CSI (colours, cursor), the strings OSC, DCS, SOS, PM and APC with
# or without their end, and the short ones. ECMA-48 gives the forms.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-Z\\`-~]"
)

# What is left of control characters, and what reorders or hides text: C0, C1, soft hyphen,
# bidirectional marks, invisible operators, line separators, lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def clean(line: str) -> str:
    r"""One line as a terminal may show it, whatever bytes a program printed.

    Escape sequences are removed, of a line redrawn with carriage returns the last state
    remains, tabs become spaces and every other control character its escape, such as ``\x07``.
    """
    line = _SEQUENCE.sub("", line[: 2 * LONGEST])
    if "\r" in line:
        line = next((part for part in reversed(line.split("\r")) if part.strip()), "")
    return _UNSAFE.sub(_escaped, line.expandtabs(4))[:LONGEST]


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8
        code -= 0xDC00
    if code == 0x0A:
        return "\\n"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


@dataclass(frozen=True)
class Charset:
    """The signs an encoding can carry: the real ones in Unicode, stand-ins elsewhere."""

    encoding: str
    arrow: str = "→"
    ellipsis: str = "…"
    bar: tuple[str, str] = ("━", "─")
    rule: str = "│"
    spinner: str = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
    marks: str = "✓●~?-✗✗"

    @classmethod
    def of(cls, encoding: str | None) -> Charset:
        """The signs for ``encoding``, as a text stream names it."""
        full = cls(encoding or "ascii")
        signs = f"{full.arrow}{full.ellipsis}{full.bar}{full.rule}{full.spinner}{full.marks}"
        try:
            signs.encode(full.encoding)
        except (UnicodeEncodeError, LookupError):
            encoding = full.encoding if _known(full.encoding) else "ascii"
            return cls(encoding, "->", "...", ("#", "-"), "|", "|/-\\", ".*~?-xx")
        return full

    def mark(self, outcome: Outcome) -> str:
        """The sign in front of a resource."""
        return self.marks[_MARKS.index(outcome)]

    def text(self, line: str) -> str:
        """``line``, clean, and escaped where the encoding has no such character."""
        return self.encodable(clean(line))

    def encodable(self, text: str) -> str:
        """``text`` escaped where the encoding has no such character."""
        return text.encode(self.encoding, "backslashreplace").decode(self.encoding)

    def lines(self, text: str) -> list[str]:
        """Every line of ``text``, clean."""
        return [self.text(line.rstrip("\r")) for line in text.split("\n")]

    def clip(self, text: str, width: int) -> str:
        """``text`` in at most ``width`` characters, its middle left out."""
        if len(text) <= width:
            return text
        keep = max(0, width - len(self.ellipsis))
        head = (keep + 1) // 2
        return f"{text[:head]}{self.ellipsis}{text[len(text) - (keep - head) :]}"


_MARKS: Sequence[Outcome] = (
    "ok",
    "changed",
    "would change",
    "unknown until",
    "skipped",
    "failed",
    "unreachable",
)


def _known(encoding: str) -> bool:
    try:
        "".encode(encoding)
    except LookupError:
        return False
    return True


def gist(reason: str) -> str:
    """A failure in one line: what a step said was wrong, else the first line of its reason."""
    lines = reason.split("\n")
    said = [line for line in lines[1:] if line.startswith("error: ")]
    return said[-1].removeprefix("error: ") if said else lines[0]


def duration(seconds: float) -> str:
    """Such as ``0.3 s``, ``12 s``, ``3 min 05 s``, ``1 h 02 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def count(number: int, noun: str) -> str:
    """Such as ``1 round trip`` and ``3 round trips``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
