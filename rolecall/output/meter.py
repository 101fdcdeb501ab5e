"""How fast long work goes, when it will be over, and how often to say so."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field

from rolecall.events import Progress
from rolecall.output.text import duration

#: Seconds of the past that count for a rate: long enough to be calm, short enough to be true.
WINDOW = 20.0


@dataclass
class Meter:
    """Measures one piece of work from its progress events. Times are monotonic seconds."""

    label: str = ""
    done: float = 0.0
    total: float = 0.0
    unit: str = ""
    _samples: deque[tuple[float, float]] = field(default_factory=deque)

    def update(self, progress: Progress, now: float) -> None:
        """Take the next event; another label or less done than before begins anew."""
        done, total = _finite(progress.done), _finite(progress.total)
        if progress.label != self.label or done < self.done:
            self._samples.clear()
        self.label, self.done, self.total, self.unit = progress.label, done, total, progress.unit
        self._samples.append((now, done))
        while len(self._samples) > 2 and now - self._samples[0][0] > WINDOW:
            self._samples.popleft()

    @property
    def fraction(self) -> float | None:
        """Between 0 and 1; None when the total is unknown."""
        return min(1.0, self.done / self.total) if self.total > 0 else None

    @property
    def finished(self) -> bool:
        """Whether all of a known total is done."""
        return self.fraction == 1.0

    @property
    def rate(self) -> float:
        """Units a second; 0 while that is not known."""
        if not self._samples:
            return 0.0
        (since, before), (now, done) = self._samples[0], self._samples[-1]
        return (done - before) / (now - since) if now - since >= 1.0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds until the total is done; None while that is not known."""
        if not self.rate or not self.total or self.finished:
            return None
        return (self.total - self.done) / self.rate

    def facts(self) -> list[str]:
        """What to say, the most important first: percent, amount, rate, time left."""
        facts = [] if self.fraction is None else [f"{int(self.fraction * 100)} %"]
        facts.append(amount(self.done, self.total, self.unit))
        if self.rate and not self.finished:
            facts.append(_per_time(self.rate, self.unit))
        if self.left is not None:
            facts.append(f"{duration(self.left)} left")
        return facts


def _finite(number: float) -> float:
    return number if math.isfinite(number) and number > 0 else 0.0


def _per_time(rate: float, unit: str) -> str:
    if unit != "B" and rate < 1:
        return f"{amount(rate * 60, 0, unit)}/min"
    return f"{amount(rate, 0, unit)}/s"


def amount(done: float, total: float, unit: str) -> str:
    """Such as ``112/271 MB`` or ``12/30 layers``; bytes come in powers of 1000."""
    if unit == "B":
        size, unit = _scale(total or done)
        done, total = done / size, total / size
    said = _number(done) if not total else f"{_number(done)}/{_number(total)}"
    return f"{said} {unit}".rstrip()


def _scale(number: float) -> tuple[float, str]:
    size = 1.0
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000 * size:
            return size, unit
        size *= 1000
    return size, "TB"


def _number(number: float) -> str:
    return f"{number:.0f}" if number >= 100 or number == int(number) else f"{number:.1f}"


class Throttle:
    """Lets through at most one event of a key every ``interval`` seconds, and every last one."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._last: dict[Hashable, tuple[float, bool]] = {}

    def passes(self, progress: Progress, now: float) -> bool:
        """Whether this event is due; the completion of a known total always is, once."""
        key = (progress.host, progress.id, progress.label)
        finished = 0 < progress.total <= progress.done
        last, was_finished = self._last.get(key, (-math.inf, False))
        if now - last < self._interval and (was_finished or not finished):
            return False
        self._last[key] = (now, finished)
        return True
