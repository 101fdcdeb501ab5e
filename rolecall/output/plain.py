"""Plain lines: for pipes, logs and terminals without colour. Every line names its host."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TextIO

from rolecall.events import (
    Applying,
    Counts,
    Event,
    HostDone,
    HostStarted,
    Message,
    Output,
    Progress,
    Recap,
    Remain,
    ResourceDone,
    RunStarted,
    TextDiff,
)
from rolecall.output.changes import folded, shown
from rolecall.output.hosts import fold, is_fleet
from rolecall.output.meter import Meter
from rolecall.output.text import Charset, count, duration, gist

#: Seconds between two progress lines of one step, at least; and at most when little happens.
SOONEST, LATEST = 10.0, 60.0

#: Advance that makes a progress line worth printing before ``LATEST``.
ADVANCE = 0.1

#: The widest word in the second column in a run, and in check mode.
_WIDTH, _CHECK_WIDTH = 8, 12

Clock = Callable[[], float]


@dataclass
class _Work:
    """A resource being applied: since when, and when that was last said."""

    id: str
    since: float
    said: float
    printed: bool = False
    fraction: float = 0.0
    meter: Meter | None = None


@dataclass
class _HostState:
    role: str = ""
    work: _Work | None = None
    diffs: dict[str, list[TextDiff]] = field(default_factory=dict)
    explained: bool = False
    done: bool = False
    counts: Counts = field(default_factory=Counts)
    skipped: dict[str, int] = field(default_factory=dict)


class Plain:
    """Writes one line a resource, ``HOST  OUTCOME  ID  (CHANGES)``, and a recap like Ansible's.

    Of a fleet only what changed or failed has a line, and each host one when it is done; in the
    recap, hosts that went well and alike are together.

    Args:
        verbosity: from 1 on, every line of output and uncut values.
        clock: monotonic seconds.
    """

    def __init__(self, out: TextIO, verbosity: int = 0, clock: Clock = time.monotonic) -> None:
        self._out = out
        self._charset = Charset.of(out.encoding)
        self._verbose = verbosity > 0
        self._clock = clock
        self._hosts: dict[str, _HostState] = {}
        self._wide = 0
        self._check = False
        self._short = False
        self._failures: list[ResourceDone] = []
        self._no_turn: dict[str, list[str]] = {}
        self._next = ""
        self._lock = threading.Lock()
        self._over = threading.Event()

    def handle(self, event: Event) -> None:
        """Write what the event has to say.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        with self._lock:
            if isinstance(event, RunStarted):
                self._started(event)
                return
            state = self._hosts.get(event.host) or _HostState()
            match event:
                case HostStarted() if not self._short:
                    self._line(event.host, "answered", count(event.resources, "resource"))
                case Applying():
                    self._applying(state, event)
                case Output():
                    self._output(state, event)
                case Progress():
                    self._progress(state, event)
                case TextDiff():
                    state.diffs.setdefault(event.id, []).append(event)
                case ResourceDone():
                    self._done(state, event)
                case HostDone():
                    self._host_done(state, event)
                case Message() | Remain():
                    self._message(event)

    def finish(self, recap: Recap) -> None:
        """Write the counts of every host, last."""
        self._over.set()
        with self._lock:
            for host, state in self._hosts.items():
                if not state.done:
                    self._line(host, "not over", f"in {state.work.id}" if state.work else "")
            if self._check:
                self._write("recap of a check: changed counts what would change")
            for names, counts in self._rows(recap):
                self._write(
                    f"{self._charset.text(names):<{self._wide}} : ok={counts.ok} "
                    f"changed={counts.changed} skipped={counts.skipped} "
                    f"failed={counts.failed} unreachable={counts.unreachable}"
                )
            self._left(recap)

    def _rows(self, recap: Recap) -> Iterator[tuple[str, Counts]]:
        """The hosts of each line of the recap; of a fleet, what went wrong comes last."""
        if not self._short:
            yield from recap.hosts.items()
            return
        alike: dict[tuple[int, ...], list[str]] = {}
        for host, counts in recap.hosts.items():
            alike.setdefault(tuple(vars(counts).values()), []).append(host)
        for numbers, hosts in sorted(alike.items(), key=lambda item: (item[0][3:], -len(item[1]))):
            counts = Counts(*numbers)
            for names in [[host] for host in hosts] if counts.bad else [hosts]:
                yield fold(names, len(names)), counts

    def _left(self, recap: Recap) -> None:
        """With several hosts: which failed and why, and the command that does what is left."""
        if len(recap.hosts) < 2:
            return
        for reason, hosts in self._no_turn.items():
            self._write(self._charset.text(f"no turn: {fold(hosts, len(hosts))}: {reason}"))
        for event in sorted(self._failures, key=lambda event: list(self._hosts).index(event.host)):
            name = f"{event.id}: " if event.role else ""
            reason = gist(event.reason)
            self._write(self._charset.text(f"{event.outcome}: {event.host}: {name}{reason}"))
        if self._next:
            self._write(self._charset.text(f"next: {self._next}"))

    def tick(self) -> None:
        """Say what is still being applied, now and then, where nothing else is heard of it."""
        with self._lock:
            now = self._clock()
            for host, state in self._hosts.items():
                work = state.work
                if work and now - work.said >= (SOONEST if work.said == work.since else LATEST):
                    work.said = now
                    self._say_work(host, work, now)

    def _started(self, event: RunStarted) -> None:
        self._check = event.check
        self._wide = max((len(self._charset.text(host)) for host in event.hosts), default=0)
        self._hosts = {host: _HostState() for host in event.hosts}
        self._short = is_fleet(len(event.hosts)) and not self._verbose
        mode = ", check: nothing is written" if event.check else ""
        self._write(f"run {event.run}: {self._charset.text(event.task)}{mode}")
        threading.Thread(target=self._tick_along, daemon=True).start()

    def _tick_along(self) -> None:
        with suppress(OSError, ValueError):  # no reader any more: the next event tells the run
            while not self._over.wait(1.0):
                self.tick()

    def _applying(self, state: _HostState, event: Applying) -> None:
        self._role(state, event.host, event.role)
        if state.work is None or state.work.id != event.id:
            now = self._clock()
            state.work = _Work(event.id, now, now)

    def _output(self, state: _HostState, event: Output) -> None:
        if self._verbose:
            if state.work and not state.work.printed:
                state.work.printed = True
                self._line(event.host, "applying", event.id)
            self._line(event.host, "output", event.id, f"| {event.line}")

    def _progress(self, state: _HostState, event: Progress) -> None:
        work = state.work
        if work is None:
            return
        now = self._clock()
        work.meter = work.meter or Meter()
        work.meter.update(event, now)
        fraction = work.meter.fraction or 0.0
        quiet = now - work.said
        if quiet >= LATEST or (
            quiet >= SOONEST and (work.said == work.since or fraction >= work.fraction + ADVANCE)
        ):
            work.said = now
            self._say_work(event.host, work, now)

    def _say_work(self, host: str, work: _Work, now: float) -> None:
        facts = [f"{duration(now - work.since)} so far"]
        if work.meter:
            work.fraction = work.meter.fraction or 0.0
            label = f"{work.meter.label}: " if work.meter.label else ""
            facts.insert(0, label + ", ".join(work.meter.facts()))
        self._line(host, "applying", work.id, f"({', '.join(facts)})")

    def _done(self, state: _HostState, event: ResourceDone) -> None:
        state.work = None
        diffs = state.diffs.pop(event.id, [])
        state.counts.add(event.outcome)
        if event.outcome in ("failed", "unreachable"):
            self._failures.append(event)
            self._failed(state, event)
            return
        if not event.role:  # the host has no turn
            state.done = True
            self._no_turn.setdefault(event.reason, []).append(event.host)
        if self._short and event.outcome in ("ok", "skipped"):
            if event.outcome == "skipped":
                state.skipped[event.reason] = state.skipped.get(event.reason, 0) + 1
            return
        self._satisfied(state, event, diffs)

    def _satisfied(self, state: _HostState, event: ResourceDone, diffs: list[TextDiff]) -> None:
        self._role(state, event.host, event.role)
        details = []
        word: str = event.outcome
        if event.outcome == "unknown until":
            word = "unknown"
            details.append(f"until {event.reason}")
        elif event.reason:
            details.append(event.reason)
        details += self._changes(event, diffed=bool(diffs))
        if event.outcome == "changed" and event.seconds >= 1:
            details.append(duration(event.seconds))
        self._line(event.host, word, event.id, f"({', '.join(details)})" if details else "")
        if event.outcome != "skipped":
            texts, new = folded([(d.path, d.lines) for d in diffs], full=self._verbose)
            for path, lines in texts:
                self._diff(event, path, lines)
            if new:
                self._line(event.host, "diff", event.id, f"({new})")

    def _changes(self, event: ResourceDone, *, diffed: bool) -> list[str]:
        shows, more = shown(event.changes, self._charset, full=self._verbose, diffed=diffed)
        lines = [show.line(self._charset, colon="") for show in shows]
        return [*lines, f"{more} more"] if more else lines

    def _failed(self, state: _HostState, event: ResourceDone) -> None:
        state.explained = True
        name = event.id if event.role else ""
        if event.role:
            self._role(state, event.host, event.role)
        reason, *rest = event.reason.split("\n")
        self._line(event.host, event.outcome, name, f"({reason})" if name else reason)
        for line in rest:
            self._line(event.host, "output", name, f"| {line}")
        if event.hint:
            self._line(event.host, "next", name, f"({event.hint})" if name else event.hint)

    def _host_done(self, state: _HostState, event: HostDone) -> None:
        state.work, state.done = None, True
        if event.error and not state.explained:
            self._line(event.host, "failed", event.error)
            if event.hint:
                self._line(event.host, "next", event.hint)
        said = [count(event.exchanges, "round trip"), duration(event.seconds)]
        word = "done"
        if self._short:
            for reason, number in state.skipped.items():
                self._line(event.host, "skipped", f"{count(number, 'resource')}  ({reason})")
            named = [f"{n} {name}" for name, n in vars(state.counts).items() if n]
            said = [*named, *said]
            if event.error or state.counts.bad:
                word = "failed"
            elif not state.counts.changed:
                word = "ok"
        self._line(event.host, word, ", ".join(said))

    def _diff(self, event: ResourceDone, path: str, lines: Sequence[str]) -> None:
        self._line(event.host, "diff", event.id, f"({path})")
        for line in lines:
            self._write(f"    {self._charset.text(line)}".rstrip())

    def _message(self, event: Message | Remain) -> None:
        if isinstance(event, Remain):
            self._next = event.next
            return
        label = {"warning": "warning: ", "error": "error: "}.get(event.style, "")
        for line in self._charset.lines(event.text):
            if self._short and event.host:
                self._line(event.host, "says", f"{label}{line}")
            else:
                self._write(f"{label}{line}".rstrip())

    def _role(self, state: _HostState, host: str, role: str) -> None:
        if role and role != state.role and not self._short:
            state.role = role
            self._line(host, "role", role)

    def _line(self, host: str, word: str, *rest: str) -> None:
        width = _CHECK_WIDTH if self._check else _WIDTH
        name = f"{self._charset.text(host):<{self._wide}}"
        texts = [self._charset.text(text) for text in rest if text]
        self._write("  ".join([name, f"{word:<{width}}", *texts]).rstrip())

    def _write(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()
