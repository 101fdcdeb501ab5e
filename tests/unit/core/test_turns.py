from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import pytest

from rolecall.turns import SideBySide


@dataclass
class Turn:
    name: str
    error: Exception | None = None
    wait: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)
    interrupted: bool = False

    def run(self) -> str:
        self.ended.wait(self.wait)
        if self.error or self.interrupted:
            raise self.error or ValueError("interrupted")
        return self.name

    def interrupt(self) -> None:
        self.interrupted = True
        self.ended.set()


def test_every_turn_has_a_result() -> None:
    turns = [Turn(f"{number}") for number in range(20)]
    assert sorted(SideBySide(turns, 4).run(), key=int) == [turn.name for turn in turns]


def test_no_more_turns_at_a_time_than_forks() -> None:
    began = time.monotonic()
    SideBySide([Turn(f"{number}", wait=0.1) for number in range(6)], 2).run()
    assert time.monotonic() - began >= 0.3


def test_none_begins_that_may_not() -> None:
    done: list[str] = []
    turns = [Turn(f"{number}") for number in range(6)]
    results = SideBySide(turns, 1, lambda: len(done) < 2 and not done.append("x")).run()
    assert results == ["0", "1"]


def test_what_a_turn_raises_ends_the_others() -> None:
    waiting = Turn("waits", wait=60)
    began = time.monotonic()
    with pytest.raises(BrokenPipeError):
        SideBySide([waiting, Turn("fails", BrokenPipeError())], 2).run()
    assert waiting.interrupted
    assert time.monotonic() - began < 5


def test_no_turns_are_no_work() -> None:
    assert SideBySide([], 10).run() == []
