"""The live region at the bottom of a terminal: what each busy host is doing right now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from rolecall.events import (
    Applying,
    Connecting,
    Event,
    HostDone,
    HostStarted,
    Output,
    Progress,
    ResourceDone,
    RunStarted,
)
from rolecall.output.hosts import fold, is_fleet
from rolecall.output.meter import Meter
from rolecall.output.text import Charset, duration

#: Seconds that a host is busy with one thing before that is worth a line.
PATIENCE = 0.3

#: How a host's part can end, with its style, in the order of the summary.
_ENDS = {
    "ok": "green",
    "changed": "yellow",
    "failed": "bold red",
    "unreachable": "bold red",
    "skipped": "cyan",
}

#: Spinner frames a second.
_SPEED = 10

#: Lines of the region at most, where the terminal has so many; its upper half stays free.
_LINES = 16

#: Columns of a progress bar, at most and at least; below it is left out.
_BAR, _SHORT_BAR = 24, 8


@dataclass
class Busy:
    """What one host is doing: applying resource ``id``, or ``doing`` something without one."""

    since: float
    id: str = ""
    doing: str = "probing"
    last: str = ""
    meter: Meter | None = None


@dataclass
class Tally:
    """How far a fleet is: the hosts that have had their turn, by how it ended."""

    started: float
    hosts: tuple[str, ...]
    waiting: dict[str, None]
    ended: dict[str, dict[str, None]] = field(default_factory=dict)

    def end(self, host: str, how: str) -> None:
        """Note how a host ended; what is worse stays."""
        self.waiting.pop(host, None)
        if not any(host in hosts for hosts in self.ended.values()):
            self.ended.setdefault(how, {})[host] = None

    def text(self, now: float) -> Text:
        """Such as ``34 ok  3 running  2 failed  11 waiting``."""
        running = len(self.hosts) - len(self.waiting) - sum(map(len, self.ended.values()))
        parts = [(how, len(self.ended.get(how, {}))) for how in _ENDS]
        parts.insert(2, ("running", running))
        parts.append(("waiting", len(self.waiting)))
        line = Text("  ")
        for name, number in parts:
            if number:
                line.append(f"{number} {name}", style=_ENDS.get(name, "none")).append("  ")
        return line.append(duration(now - self.started), style="dim")


class Activity:
    """Follows events and renders what is under way, never more than fits the terminal.

    A line a busy host, two when only one host is busy. Of a fleet first how far it is, and
    which hosts failed, then those that are busy for the longest time.
    """

    def __init__(self, charset: Charset, clock: Callable[[], float] = time.monotonic) -> None:
        self._charset = charset
        self._clock = clock
        self._named = False
        self._busy: dict[str, Busy] = {}
        self._changed: set[str] = set()
        self._tally: Tally | None = None

    def follow(self, event: Event) -> None:
        """Take note of what ``event`` says about its host's activity."""
        now = self._clock()
        match event:
            case RunStarted():
                self._begin(event, now)
            case Connecting() | HostStarted():
                self._turn(event, now)
            case HostDone():
                self._busy.pop(event.host, None)
                self._end(event.host, "failed" if event.error else "")
            case ResourceDone():
                self._follow_resource(event, now)
            case Applying() | Output() | Progress():
                self._follow_work(event, now)

    def _begin(self, event: RunStarted, now: float) -> None:
        self._named = len(event.hosts) > 1
        self._busy = {} if self._named else {host: Busy(now) for host in event.hosts}
        fleet = is_fleet(len(event.hosts))
        self._tally = Tally(now, event.hosts, dict.fromkeys(event.hosts)) if fleet else None

    def _turn(self, event: Connecting | HostStarted, now: float) -> None:
        doing = "connecting" if isinstance(event, Connecting) else "probing"
        self._busy[event.host] = Busy(now, doing=doing)
        if self._tally:
            self._tally.waiting.pop(event.host, None)

    def _follow_work(self, event: Applying | Output | Progress, now: float) -> None:
        busy = self._busy.get(event.host)
        if isinstance(event, Applying):
            if busy is None or busy.id != event.id:
                self._busy[event.host] = Busy(now, event.id)
        elif busy is None:
            pass
        elif isinstance(event, Output):
            busy.last = self._charset.text(event.line).strip() or busy.last
            if busy.meter and busy.meter.finished:
                busy.meter = None
        else:
            busy.meter = busy.meter or Meter()
            busy.meter.update(event, now)

    def _follow_resource(self, event: ResourceDone, now: float) -> None:
        if event.host in self._busy:
            self._busy[event.host] = Busy(now)
        if event.outcome in ("failed", "unreachable"):
            self._end(event.host, event.outcome)
        elif event.outcome == "skipped":
            if not event.role:  # the host has no turn
                self._end(event.host, "skipped")
        elif event.outcome != "ok":
            self._changed.add(event.host)

    def _end(self, host: str, how: str) -> None:
        if self._tally:
            self._tally.end(host, how or ("changed" if host in self._changed else "ok"))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """One :class:`Text` a line, never wider than the terminal."""
        now = self._clock()
        rows = [
            (host, busy)
            for host, busy in list(self._busy.items())
            if now - busy.since >= PATIENCE or busy.meter
        ]
        width = options.max_width
        room = max(2, min(_LINES, console.size.height // 2))
        if self._tally:
            head = list(self._head(self._tally, now, width))
            yield from head
            room -= len(head)
        wide = max((len(self._charset.text(host)) for host, _ in rows[:room]), default=0)
        shown = rows if len(rows) <= room else rows[: max(0, room - 1)]
        for host, busy in shown:
            yield self._line(host, busy, now, width, min(wide, width // 3))
        if more := [self._charset.text(host) for host, _ in rows[len(shown) :]]:
            text = f"    {self._charset.ellipsis} {len(more)} more: {fold(more)}"
            yield self._fitted(Text(text, style="dim"), width)
        if len(rows) == 1 and rows[0][1].last and not self._tally:
            yield self._fitted(Text(f"    {rows[0][1].last}", style="dim"), width)

    def _head(self, tally: Tally, now: float, width: int) -> Iterator[Text]:
        yield self._fitted(tally.text(now), width)
        bad: tuple[Literal["failed", "unreachable"], ...] = ("failed", "unreachable")
        for how in bad:
            if hosts := tally.ended.get(how):
                names = fold(self._charset.text(host) for host in tally.hosts if host in hosts)
                yield self._fitted(
                    Text(f"  {self._charset.mark(how)} {how} {names}", style="bold red"), width
                )

    def _line(self, host: str, busy: Busy, now: float, width: int, wide: int) -> Text:
        spinner = self._charset.spinner[int(now * _SPEED) % len(self._charset.spinner)]
        line = Text(f"  {spinner} ", style="cyan")
        if self._named:
            line.append(f"{self._charset.text(host):<{wide}}  ", style="bold")
        name = self._charset.text(busy.id) if busy.id else busy.doing
        line.append(self._charset.clip(name, max(12, width // 2)), style="none")
        line.append(f"  {duration(now - busy.since)}", style="dim")
        if busy.meter:
            self._add_progress(line, busy.meter, width)
        elif self._named and busy.last:
            line.append(f"  {busy.last}", style="dim")
        return self._fitted(line, width)

    def _add_progress(self, line: Text, meter: Meter, width: int) -> None:
        """Append what fits: the facts first, then a bar in the room that is left."""
        if meter.label:
            line.append(f"  {self._charset.text(meter.label)}", style="none")
        at = len(line)
        for fact in map(self._charset.text, meter.facts()):
            if line.cell_len + 2 + len(fact) > width:
                break
            line.append(f"  {fact}", style="none")
        room = min(_BAR, width - line.cell_len - 2)
        if meter.fraction is not None and room >= _SHORT_BAR:
            full, empty = self._charset.bar
            done = int(meter.fraction * room)
            facts = line[at:]
            line.right_crop(len(line) - at)
            line.append("  ").append(full * done, style="green")
            line.append(empty * (room - done), style="dim").append_text(facts)

    def _fitted(self, line: Text, width: int) -> Text:
        """Never wider than the terminal; the sign for the cut is of the encoding."""
        if line.cell_len > width:
            line.truncate(max(0, width - len(self._charset.ellipsis)), overflow="crop")
            line.append(self._charset.ellipsis)
        line.no_wrap = True
        return line
