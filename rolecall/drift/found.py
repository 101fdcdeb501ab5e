"""What a look at hosts has found: a listener on the stream of a run in check mode."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from rolecall.events import Event, HostDone, Message, Recap, ResourceDone, RunStarted
from rolecall.resource import Change
from rolecall.resources.cluster_object import BESIDES, EXISTS, owner_told


@dataclass(frozen=True)
class Field:
    """One field of a resource.

    Attributes:
        was: what is declared; None: nothing.
        now: what is there; None: nothing.
        by: of a cluster, who owns the field by having written it, where that is not Rolecall.
        ours: of a cluster, that Rolecall owns it: what is there, it has written itself.
    """

    name: str
    was: str | None
    now: str | None
    by: str = ""
    ours: bool = False


@dataclass(frozen=True)
class Moved:
    """A resource that differs from what is declared.

    Attributes:
        fields: what differs; empty where only ``until`` is told.
        until: the resource on whose repair it depends whether this one differs.
        refused: why a deploy would refuse to put it right.
    """

    host: str
    role: str
    id: str
    fields: tuple[Field, ...]
    until: str = ""
    refused: str = ""


@dataclass(frozen=True)
class Unasked:
    """A host, or a resource of one (``id``), that could not be asked."""

    host: str
    id: str
    reason: str
    hint: str


@dataclass
class Found:
    """Listens to a run in check mode and keeps what differs.

    Attributes:
        moved: what differs now.
        unknown: what may differ, or be changed with it, once something else was put right.
        unasked: what could not be asked.
        busy: what to know of hosts where another run is at work.
        asked: the hosts that have answered, or whose turn is over.
        resources: how many were looked at.
    """

    clusters: Collection[str] = ()
    over: Callable[[str], None] = lambda _: None
    hosts: tuple[str, ...] = ()
    moved: list[Moved] = field(default_factory=list)
    unknown: list[Moved] = field(default_factory=list)
    unasked: list[Unasked] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    resources: int = 0

    def handle(self, event: Event) -> None:
        """Keep what the event has to say."""
        match event:
            case RunStarted():
                self.hosts = event.hosts
            case Message(style="warning"):
                self.busy.append(event.text)
            case ResourceDone():
                self._done(event)
            case HostDone():
                if event.error and all(one.host != event.host for one in self.unasked):
                    self.unasked.append(Unasked(event.host, "", event.error, event.hint))
                self.over(event.host)

    def finish(self, recap: Recap) -> None:
        """Put what was found into the order of the hosts, whichever of them answered first."""
        place = {host: number for number, host in enumerate(self.hosts)}
        for found in (self.moved, self.unknown, self.unasked):
            found.sort(key=lambda one: place.get(one.host, len(place)))

    @property
    def status(self) -> int:
        """The exit status: 1 where something could not be asked, 2 where something differs."""
        return 1 if self.unasked else 2 if self.moved else 0

    def _done(self, event: ResourceDone) -> None:
        if not event.role:
            self.unasked.append(Unasked(event.host, "", event.reason, event.hint))
            return
        if event.outcome == "skipped":
            return
        self.resources += 1
        fields = tuple(self._field(event.host, change) for change in event.changes)
        match event.outcome:
            case "would change":
                self.moved.append(Moved(event.host, event.role, event.id, fields))
            case "unknown until":
                self.unknown.append(
                    Moved(event.host, event.role, event.id, fields, until=event.reason)
                )
            case "failed" if fields:
                self.moved.append(
                    Moved(event.host, event.role, event.id, fields, refused=event.reason)
                )
            case "failed":
                self.unasked.append(Unasked(event.host, event.id, event.reason, event.hint))

    def _field(self, host: str, change: Change) -> Field:
        if host not in self.clusters:
            return Field(change.field, change.after, change.before)
        now, by = owner_told(change.before)
        if change.field == BESIDES:
            return Field("no longer declared", None, now, ours=True)
        ours = not by and now is not None and change.field != EXISTS
        return Field(change.field, change.after, now, by, ours)
