"""Reading what a host answers: frames, their payloads, and the answers of a probe batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from rolecall.loop.scripts import Group
from rolecall.resource import Observed
from rolecall.session import Frame, Line


@dataclass
class Part:
    """One frame and the whole of its payload."""

    frame: Frame
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The payload as the host's own ``$(...)`` would hold it."""
        return _as_shell_variable(self.lines)


def _as_shell_variable(lines: Sequence[str]) -> str:
    """Lines as ``$(...)`` keeps them: no newlines at the end, no NUL bytes."""
    return "\n".join(lines).replace("\0", "").rstrip("\n")


def parts(
    answer: Iterator[Frame | Line],
    live: Callable[[Frame, str | None], None] | None = None,
) -> Iterator[Part]:
    """Collect frames with their payloads.

    ``live`` is told of every frame at once (with None) and then of each line of its payload.
    """
    part = Part(Frame("start"))
    for item in answer:
        if isinstance(item, Frame):
            yield part
            part = Part(item)
            if live:
                live(item, None)
        else:
            part.lines.append(item.text)
            if live:
                live(part.frame, item.text)
    yield part


class Answers:
    """Reads the ``group`` and ``item`` frames of a probe batch."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups = [iter(group.numbers) for group in groups]
        self._current: Iterator[int] = iter(())
        self._lines: list[str] = []
        self._observed: dict[int, Observed] = {}

    def feed(self, part: Part) -> None:
        """Take the next part: an answer is the text in front of its ``item`` frame."""
        if part.frame.kind == "group":
            self._close_group()
            self._current = self._groups.pop(0)
        elif part.frame.kind == "item":
            number = next(self._current, None)
            if number is not None:
                self._observed[number] = Observed.parse(_as_shell_variable(self._lines))
            self._lines = []
        self._lines += part.lines

    def _close_group(self) -> None:
        """What was printed in place of the answers that a group still owes is all there is."""
        for number in self._current:
            said = tuple(line for line in self._lines if line.strip())
            self._observed[number] = Observed(_as_shell_variable(self._lines), {}, said)
        self._lines = []

    def complete(self, numbers: Sequence[int]) -> dict[int, Observed]:
        """The answers, with what was printed instead for those that never came."""
        self._close_group()
        return {number: self._observed.get(number, Observed("", {})) for number in numbers}
