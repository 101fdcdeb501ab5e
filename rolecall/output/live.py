"""The live region at the bottom of a terminal: what each busy host is doing right now."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from rolecall.events import Applying, Event, HostDone, Output, Progress, ResourceDone, RunStarted
from rolecall.output.meter import Meter
from rolecall.output.text import Charset, duration

#: Seconds that a host is busy with one thing before that is worth a line.
PATIENCE = 0.3

#: Spinner frames a second.
_SPEED = 10

#: Columns of a progress bar, at most and at least; below it is left out.
_BAR, _SHORT_BAR = 24, 8


@dataclass
class Busy:
    """What one host is doing: applying resource ``id``, or being probed where it is empty."""

    since: float
    id: str = ""
    last: str = ""
    meter: Meter | None = None


class Activity:
    """Follows events and renders one line a busy host; two when only one host is busy."""

    def __init__(self, charset: Charset, clock: Callable[[], float] = time.monotonic) -> None:
        self._charset = charset
        self._clock = clock
        self._named = False
        self._busy: dict[str, Busy] = {}

    def follow(self, event: Event) -> None:
        """Take note of what ``event`` says about its host's activity."""
        now = self._clock()
        if isinstance(event, RunStarted):
            self._named = len(event.hosts) > 1
            self._busy = {host: Busy(now) for host in event.hosts}
        elif isinstance(event, HostDone):
            self._busy.pop(event.host, None)
        elif isinstance(event, ResourceDone):
            self._busy[event.host] = Busy(now)
        elif isinstance(event, Applying):
            busy = self._busy.get(event.host)
            if busy is None or busy.id != event.id:
                self._busy[event.host] = Busy(now, event.id)
        elif busy := self._busy.get(event.host):
            if isinstance(event, Output):
                busy.last = self._charset.text(event.line).strip() or busy.last
                if busy.meter and busy.meter.finished:
                    busy.meter = None
            elif isinstance(event, Progress):
                busy.meter = busy.meter or Meter()
                busy.meter.update(event, now)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """One :class:`Text` a line, never wider than the terminal."""
        now = self._clock()
        rows = [
            (host, busy)
            for host, busy in list(self._busy.items())
            if now - busy.since >= PATIENCE or busy.meter
        ]
        for host, busy in rows:
            yield self._line(host, busy, now, options.max_width)
            if len(rows) == 1 and busy.last:
                yield self._fitted(Text(f"    {busy.last}", style="dim"), options.max_width)

    def _line(self, host: str, busy: Busy, now: float, width: int) -> Text:
        spinner = self._charset.spinner[int(now * _SPEED) % len(self._charset.spinner)]
        line = Text(f"  {spinner} ", style="cyan")
        if self._named:
            line.append(f"{self._charset.text(host)} ", style="bold")
        name = self._charset.text(busy.id) if busy.id else "probing"
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
