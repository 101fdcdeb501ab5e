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
        return "\n".join(self.lines).rstrip("\n")


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
        self.observed: dict[int, Observed] = {}

    def feed(self, part: Part) -> None:
        """Take the next part: an answer is the text in front of its ``item`` frame."""
        if part.frame.kind == "group":
            self._current = self._groups.pop(0)
            self._lines = []
        elif part.frame.kind == "item":
            number = next(self._current, None)
            if number is not None:
                text = "\n".join(self._lines).rstrip("\n")
                self.observed[number] = Observed.parse(text)
            self._lines = []
        self._lines += part.lines

    def complete(self, numbers: Sequence[int]) -> dict[int, Observed]:
        """The answers, with what was printed instead for those that never came."""
        missing = Observed.parse("\n".join(self._lines))
        return {number: self.observed.get(number, missing) for number in numbers}
