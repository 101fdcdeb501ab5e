"""Events: the only output of a run. The console, JSON lines and the run log are listeners."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from rolecall.resource import Change

Outcome = Literal[
    "ok", "changed", "skipped", "failed", "unreachable", "would change", "unknown until"
]

#: Under which heading of the recap an outcome counts.
COUNTS_AS: dict[Outcome, str] = {
    "ok": "ok",
    "changed": "changed",
    "would change": "changed",
    "unknown until": "changed",
    "skipped": "skipped",
    "failed": "failed",
    "unreachable": "unreachable",
}


@dataclass(frozen=True)
class Event:
    """Something that happened on a host. ``event`` names the kind in every serialised form."""

    event: ClassVar[str]

    host: str

    def to_dict(self) -> dict[str, Any]:
        """The event as JSON-ready data, its kind first."""
        return {"event": self.event, **asdict(self)}


@dataclass(frozen=True)
class RunStarted(Event):
    """A run begins; ``host`` is empty."""

    event = "run"
    run: str
    task: str
    check: bool
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class Connecting(Event):
    """A host has its turn: it is about to be connected to."""

    event = "connecting"


@dataclass(frozen=True)
class HostStarted(Event):
    """A host answered; its resources are known."""

    event = "host"
    resources: int


@dataclass(frozen=True)
class Applying(Event):
    """A resource is about to be changed."""

    event = "applying"
    role: str
    id: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Output(Event):
    """A line printed by an apply."""

    event = "output"
    id: str
    line: str


@dataclass(frozen=True)
class Progress(Event):
    """How far a long step is. ``done`` and ``total`` are in ``unit``; a total of 0 is unknown."""

    event = "progress"
    id: str
    label: str
    done: float
    total: float
    unit: str


@dataclass(frozen=True)
class TextDiff(Event):
    """The lines a change would alter or has altered, as a unified diff."""

    event = "diff"
    id: str
    path: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class ResourceDone(Event):
    """A resource's outcome. ``reason`` belongs to skipped, failed and unknown."""

    event = "resource"
    role: str
    id: str
    outcome: Outcome
    changes: tuple[Change, ...] = ()
    reason: str = ""
    hint: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class HostDone(Event):
    """A host's part of the run is over; ``error`` tells why it ended early."""

    event = "host_done"
    exchanges: int
    seconds: float
    error: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Message(Event):
    """Something to tell the user, such as the answer of a model and what to do next."""

    event = "message"
    text: str
    style: Literal["info", "good", "warning", "error"] = "info"


@dataclass(frozen=True)
class Remain(Event):
    """The hosts that a run on several leaves to be done, and the command that does them."""

    event = "remain"
    hosts: tuple[str, ...]
    next: str


@dataclass
class Counts:
    """How many resources of a host had each outcome."""

    ok: int = 0
    changed: int = 0
    skipped: int = 0
    failed: int = 0
    unreachable: int = 0

    @property
    def bad(self) -> bool:
        """Whether anything failed, or the host could not be reached."""
        return bool(self.failed or self.unreachable)

    def add(self, outcome: Outcome) -> None:
        """Count one outcome under its heading."""
        heading = COUNTS_AS[outcome]
        setattr(self, heading, getattr(self, heading) + 1)


@dataclass
class Recap:
    """The counts of every host: what tests and tools rely on."""

    hosts: dict[str, Counts] = field(default_factory=dict)

    def of(self, host: str) -> Counts:
        """The counts of ``host``, made on first use."""
        return self.hosts.setdefault(host, Counts())

    @property
    def failed(self) -> bool:
        """Whether anything failed or could not be reached."""
        return any(counts.bad for counts in self.hosts.values())

    @property
    def changed(self) -> bool:
        """Whether anything changed or, in check mode, would."""
        return any(counts.changed for counts in self.hosts.values())

    def to_dict(self) -> dict[str, Any]:
        """The recap as the last JSON line of a run."""
        return {
            "event": "recap",
            "hosts": {host: asdict(counts) for host, counts in self.hosts.items()},
        }


class Listener(Protocol):
    """Something that turns events into output."""

    def handle(self, event: Event) -> None:
        """Called for every event, from one thread at a time."""

    def finish(self, recap: Recap) -> None:
        """Called once, after the last event."""


def _nothing() -> None:
    """What a listener does that shows nothing but what it is told."""


class Stream:
    """Hands every event to every listener, in one order, whatever thread it comes from."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = tuple(listeners)
        self._lock = threading.Lock()
        self._over = False
        self._kept: list[Event] | None = None
        self.recap = Recap()

    def emit(self, event: Event) -> None:
        """Publish ``event`` and count outcomes; what comes after the end is dropped."""
        with self._lock:
            if self._over:  # a host that was left behind
                return
            if isinstance(event, RunStarted):
                for host in event.hosts:
                    self.recap.of(host)
            elif isinstance(event, ResourceDone):
                self.recap.of(event.host).add(event.outcome)
            if self._kept is not None:
                self._kept.append(event)
            else:
                self._tell(event)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is shown meanwhile: the terminal is the user's, for an answer.

        Events are kept until then. Nobody has to wait: an interrupt comes through.
        """
        with self._lock:
            self._kept = []
            for listener in self._listeners:
                getattr(listener, "pause", _nothing)()
        try:
            yield
        finally:
            with self._lock:
                for listener in self._listeners:
                    getattr(listener, "resume", _nothing)()
                self._tell_kept()

    def _tell_kept(self) -> None:
        kept, self._kept = self._kept or [], None
        for event in kept:
            self._tell(event)

    def _tell(self, event: Event) -> None:
        for listener in self._listeners:
            listener.handle(event)

    def finish(self) -> None:
        """Tell every listener that the run is over."""
        with self._lock:
            self._tell_kept()
            self._over = True
        for listener in self._listeners:
            listener.finish(self.recap)
