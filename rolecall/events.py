"""Events: the only output of a run. The console, JSON lines and the run log are listeners."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from rolecall.masks import longest_first, without
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
    """Something that happened. ``event`` names its kind in every serialised form.

    Attributes:
        host: where it happened; empty where it is about the run as a whole.
    """

    event: ClassVar[str]

    host: str

    def to_dict(self) -> dict[str, Any]:
        """The event as JSON-ready data, its kind first."""
        return {"event": self.event, **asdict(self)}


@dataclass(frozen=True)
class RunStarted(Event):
    """A run begins; ``host`` is empty.

    Attributes:
        run: the run's id.
        task: the task that was called.
        check: nothing is written; the outcomes are predictions.
        hosts: the chosen hosts, in the order of the run.
        by: who runs it, as ``USER@MACHINE``.
        version: Rolecall's.
        command: the command that begins such a run again. No secret is in it.
    """

    event = "run"
    run: str
    task: str
    check: bool
    hosts: tuple[str, ...]
    by: str = ""
    version: str = ""
    command: str = ""


@dataclass(frozen=True)
class SettingValue:
    """One setting and where its value came from.

    Attributes:
        name: below its role, with dots, such as ``prepare.deadline``.
        value: as text; eight stars where it is secret.
        source: ``default``, ``--set``, or file and line.
    """

    name: str
    value: str
    source: str


@dataclass(frozen=True)
class SettingsKnown(Event):
    """The settings of one role, told once for all hosts that have the same; ``host`` is empty.

    Attributes:
        hosts: the hosts that they hold for.
        role: the role's name; ``rolecall`` is the runner itself.
        values: every setting of the role, those with their default too: its ``name`` below the
            role, with dots; its ``value`` as text, eight stars where it is secret; and its
            ``source``: ``default``, ``--set``, or file and line.
    """

    event = "settings"
    hosts: tuple[str, ...]
    role: str
    values: tuple[SettingValue, ...]


@dataclass(frozen=True)
class WaveStarted(Event):
    """The next hosts of the run may begin, as many at a time as ``--forks`` says.

    Attributes:
        number: which wave it is, from 1.
        of: how many waves there are.
        hosts: the hosts of this wave; ``host`` is empty.
    """

    event = "wave"
    number: int
    of: int
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class Connecting(Event):
    """A host has its turn: it is about to be connected to."""

    event = "connecting"


@dataclass(frozen=True)
class ExchangeStarted(Event):
    """A round trip begins: a script goes to the host, or several calls to a cluster at once.

    Attributes:
        number: which of this host's it is, from 1.
        what: ``open`` (facts, the lock, every probe), ``probe`` (probes again), ``apply`` (a
            guarded batch of changes), ``texts`` (the texts that ``--diff`` compares),
            ``rehearse`` (a cluster's own dry run), ``release`` (the lock of a dead run) or
            ``ask`` (anything else).
    """

    event = "exchange"
    number: int
    what: str


@dataclass(frozen=True)
class ExchangeDone(Event):
    """A round trip is over.

    Attributes:
        number: the number with which it began.
        seconds: how long it took.
    """

    event = "exchange_done"
    number: int
    seconds: float


@dataclass(frozen=True)
class FactsKnown(Event):
    """What the host is like, as it has just said.

    Attributes:
        facts: the facts by name, those that the project's roles bring included.
    """

    event = "facts"
    facts: Mapping[str, str | int | bool]


@dataclass(frozen=True)
class Waiting(Event):
    """Nothing is done for a while, because something else has to happen first.

    Attributes:
        what: ``lock`` (another run holds the host) or ``answer`` (after its part of the run, the
            host is asked whether what it has been made for works).
        reason: for whom or what, in a sentence.
    """

    event = "waiting"
    what: str
    reason: str


@dataclass(frozen=True)
class WaitDone(Event):
    """A wait is over, whichever way.

    Attributes:
        what: as it began.
        seconds: how long it took.
    """

    event = "wait_done"
    what: str
    seconds: float


@dataclass(frozen=True)
class HostStarted(Event):
    """A host answered; its resources are known.

    Attributes:
        resources: how many there are.
    """

    event = "host"
    resources: int


@dataclass(frozen=True)
class Applying(Event):
    """A resource is about to be changed.

    Attributes:
        role: the role that declared it.
        id: the resource's id.
        changes: what differs: the ``field``, its value ``before`` (null: there is none) and
            ``after``. The values of a secret resource are masked.
    """

    event = "applying"
    role: str
    id: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class JobFollowed(Event):
    """The apply of a resource follows a detached job, which outlives this run.

    Attributes:
        id: the resource's id.
        job: the job's name, which derives from what it does.
        attached: it was running before; else this run has started it.
    """

    event = "job"
    id: str
    job: str
    attached: bool


@dataclass(frozen=True)
class Output(Event):
    """A line printed by an apply. Of a secret resource there is none.

    Attributes:
        id: the resource's id.
        line: the line as it was printed, without its end.
    """

    event = "output"
    id: str
    line: str


@dataclass(frozen=True)
class Progress(Event):
    """How far a long step is; at most two a second are written.

    Attributes:
        id: the resource's id.
        label: what is being done.
        done: how much of it, in ``unit``.
        total: how much there is; 0 where that is not known.
        unit: ``B`` for bytes, else a noun, or nothing.
    """

    event = "progress"
    id: str
    label: str
    done: float
    total: float
    unit: str


@dataclass(frozen=True)
class TextDiff(Event):
    """The lines that a change would alter or has altered. Told with ``--diff`` only.

    Attributes:
        id: the resource's id.
        path: the text's path on the host, or its name.
        lines: a unified diff without its file headers; or one line in brackets that says why
            none is shown.
    """

    event = "diff"
    id: str
    path: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class ResourceDone(Event):
    """A resource's outcome.

    Attributes:
        role: the role that declared it; empty where it is about the host as a whole.
        id: the resource's id; ``host``, ``canary`` or ``answer`` without a role.
        outcome: what became of it.
        changes: what was or would be changed. The values of a secret resource are masked.
        reason: why it was skipped, has failed, or is not known.
        hint: what to do about it.
        seconds: how long it took.
    """

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
    """A host's part of the run is over.

    Attributes:
        exchanges: its round trips; of a cluster, its parallel reads.
        seconds: how long its part took.
        error: why it ended early.
        hint: what to do about that.
    """

    event = "host_done"
    exchanges: int
    seconds: float
    error: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Message(Event):
    """Something to tell the user, such as the answer of a model and what to do next.

    Attributes:
        text: what to tell, of one line or several.
        style: how much it matters.
    """

    event = "message"
    text: str
    style: Literal["info", "good", "warning", "error"] = "info"


@dataclass(frozen=True)
class Remain(Event):
    """The hosts that a run on several leaves to be done.

    Attributes:
        hosts: these hosts; ``host`` is empty.
        next: the command that does them.
    """

    event = "remain"
    hosts: tuple[str, ...]
    next: str


#: How a run ends: all hosts have had their part, the user ended it, or it could not go on.
Ending = Literal["finished", "interrupted", "stopped"]


@dataclass(frozen=True)
class RunDone(Event):
    """A run is over; ``host`` is empty. Of a controller that was killed there is none.

    Attributes:
        ended: ``finished``, ``interrupted`` (by the user) or ``stopped`` (by an error).
        seconds: how long it took.
        reason: why it was stopped.
        hint: what to do about that.
    """

    event = "run_done"
    ended: Ending
    seconds: float
    reason: str = ""
    hint: str = ""


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
    """Hands every event to every listener, in one order, whatever thread it comes from.

    Attributes:
        begun: whether a run has begun.
        recap: the outcomes so far.
    """

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = tuple(listeners)
        self._lock = threading.Lock()
        self._over = False
        self._kept: list[Event] | None = None
        self._secrets: tuple[str, ...] = ()
        self.begun = False
        self.recap = Recap()

    def hide(self, secrets: Iterable[str]) -> None:
        """Mask these texts in every event from now on, whatever printed them."""
        self._secrets = longest_first(secrets)

    def emit(self, event: Event) -> None:
        """Publish ``event`` and count outcomes; what comes after the end is dropped."""
        event = without(event, self._secrets)
        with self._lock:
            if self._over:  # a host that was left behind
                return
            if isinstance(event, RunStarted):
                self.begun = True
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
