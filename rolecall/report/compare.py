"""How long things took, against the last comparable run."""

from __future__ import annotations

from dataclasses import dataclass

from rolecall.report.model import Run, Step

#: A difference is told from so many seconds on, and from this part of the time before.
SECONDS, PART = 0.5, 0.1

#: Differences that are listed.
LISTED = 12


@dataclass(frozen=True)
class Difference:
    """One resource of a host, now and then.

    Attributes:
        now, then: seconds.
        outcome, before: its outcome now and then.
    """

    host: str
    id: str
    now: float
    then: float
    outcome: str
    before: str

    @property
    def more(self) -> float:
        """Seconds that it took longer; less than 0 if it was faster."""
        return self.now - self.then


@dataclass(frozen=True)
class Comparison:
    """A run against an earlier one.

    Attributes:
        differences: the largest first.
        steps: by host and id, how it was then.
    """

    then: Run
    more: float
    differences: tuple[Difference, ...]
    steps: dict[tuple[str, str], Step]

    def delta(self, host: str, step: Step) -> float | None:
        """Seconds that a step took longer than then, if that is worth telling."""
        before = self.steps.get((host, step.id))
        if before is None or not _tells(step.seconds, before.seconds):
            return None
        return step.seconds - before.seconds


def compare(run: Run, then: Run) -> Comparison:
    """What took longer or shorter than in the run ``then``."""
    steps = {(host, step.id): step for host, part in then.parts.items() for step in part.steps}
    differences = [
        Difference(host, step.id, step.seconds, before.seconds, step.outcome, before.outcome)
        for host, part in run.parts.items()
        for step in part.steps
        if (before := steps.get((host, step.id))) and _tells(step.seconds, before.seconds)
    ]
    differences.sort(key=lambda one: -abs(one.more))
    return Comparison(then, run.seconds - then.seconds, tuple(differences), steps)


def _tells(now: float, then: float) -> bool:
    return abs(now - then) >= max(SECONDS, PART * max(now, then))
