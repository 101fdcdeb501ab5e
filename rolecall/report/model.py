"""A run as its log tells it. All times are seconds since the run began."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from rolecall.events import COUNTS_AS
from rolecall.resource import Change

#: What a resource has that was being applied when the log ends.
UNFINISHED = "not over"

SpanKind = Literal["turn", "connect", "exchange", "wait", "apply"]


@dataclass(frozen=True)
class Span:
    """Something that took time on a host.

    Attributes:
        kind: waiting for its turn, connecting, a round trip, another wait, or an apply.
        label: what it was, in a word or an id.
        note: more about it, in a sentence.
        outcome: of an apply, that of its resource.
    """

    kind: SpanKind
    begin: float
    end: float
    label: str
    note: str = ""
    outcome: str = ""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.begin


@dataclass(frozen=True)
class Point:
    """How far a step was at one time; ``total`` 0 is not known."""

    at: float
    label: str
    done: float
    total: float
    unit: str


@dataclass(frozen=True)
class Job:
    """A detached job that a step followed, from where in its life."""

    name: str
    attached: bool


@dataclass
class Step:
    """One resource of one host.

    Attributes:
        began: when its apply began; None where there was none.
        ended: when its outcome was known.
        output: the first and the last lines that its apply printed.
        lines: how many lines it printed.
        diffs: pairs of path and lines of a unified diff.
    """

    role: str
    id: str
    outcome: str = UNFINISHED
    changes: Sequence[Change] = ()
    reason: str = ""
    hint: str = ""
    seconds: float = 0.0
    began: float | None = None
    ended: float | None = None
    output: list[str] = field(default_factory=list)
    lines: int = 0
    diffs: list[tuple[str, Sequence[str]]] = field(default_factory=list)
    progress: list[Point] = field(default_factory=list)
    job: Job | None = None

    @property
    def bad(self) -> bool:
        """Whether it failed, or its host could not be reached."""
        return self.outcome in ("failed", "unreachable")

    @property
    def heading(self) -> str:
        """Under which heading it counts: ok, changed, skipped, failed, unreachable, not over."""
        return dict(COUNTS_AS).get(self.outcome, UNFINISHED)  # type: ignore[call-overload, no-any-return]


@dataclass
class Part:
    """What a run did on one host.

    Attributes:
        turn: when it was about to be connected to; None where it had no turn.
        answered: when its resources were known.
        over: when its part was over; None where it was cut short.
        exchanges: round trips.
        spans: what took time, but for applies, in order.
        said: messages to the user, with their style.
    """

    host: str
    turn: float | None = None
    answered: float | None = None
    over: float | None = None
    seconds: float = 0.0
    exchanges: int = 0
    error: str = ""
    hint: str = ""
    steps: list[Step] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    facts: Mapping[str, object] = field(default_factory=dict)
    said: list[tuple[str, str]] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        """The host in a word; what is worst counts."""
        found = {step.heading for step in self.steps}
        if self.turn is not None and self.over is None:
            found.add(UNFINISHED)
        if self.error and "unreachable" not in found:
            found.add("failed")
        for outcome in ("unreachable", "failed", UNFINISHED, "changed"):
            if outcome in found:
                return outcome
        return "ok" if self.turn is not None or "ok" in found else "skipped"

    def count(self, heading: str) -> int:
        """How many of its resources count under ``heading``."""
        return sum(step.heading == heading for step in self.steps)


@dataclass(frozen=True)
class SettingLine:
    """One setting: its name below its role, its value (masked if secret), where that is from."""

    name: str
    value: str
    source: str


@dataclass(frozen=True)
class RoleSettings:
    """The settings of a role that hold for some hosts."""

    role: str
    hosts: tuple[str, ...]
    values: tuple[SettingLine, ...]


#: How a run ended; ``unknown``: its log has no end, so it was killed or still runs.
Ended = Literal["finished", "interrupted", "stopped", "unknown"]


@dataclass
class Run:
    """A whole run.

    Attributes:
        by: who ran it, as USER@MACHINE; empty in logs of earlier versions.
        command: the command that begins such a run again.
        next: the command that does what it left to be done.
        reason, hint: why it was stopped, and what to do about that.
        broken: lines of the log that cannot be read.
    """

    id: str
    path: Path
    task: str
    check: bool
    started: datetime
    by: str = ""
    version: str = ""
    command: str = ""
    ended: Ended = "unknown"
    seconds: float = 0.0
    reason: str = ""
    hint: str = ""
    next: str = ""
    parts: dict[str, Part] = field(default_factory=dict)
    waves: list[tuple[str, ...]] = field(default_factory=list)
    settings: list[RoleSettings] = field(default_factory=list)
    said: list[tuple[str, str]] = field(default_factory=list)
    broken: int = 0

    def count(self, heading: str) -> int:
        """How many resources of all hosts count under ``heading``."""
        return sum(part.count(heading) for part in self.parts.values())

    @property
    def outcome(self) -> str:
        """The run in a word; what is worst counts."""
        found = {part.outcome for part in self.parts.values()}
        if found & {"failed", "unreachable"} or self.ended == "stopped":
            return "failed"
        if self.ended == "interrupted":
            return "interrupted"
        if self.ended == "unknown" or UNFINISHED in found:
            return UNFINISHED
        return "changed" if "changed" in found else "ok"
