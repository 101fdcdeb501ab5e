"""The terminal: a line a resource, grouped by role, and a live region for what is under way."""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from rolecall.events import (
    Applying,
    Event,
    HostDone,
    Message,
    Output,
    Recap,
    Remain,
    ResourceDone,
    RunStarted,
    TextDiff,
)
from rolecall.output.fleet import Fleet
from rolecall.output.hosts import is_fleet
from rolecall.output.live import Activity
from rolecall.output.one_host import HostLines
from rolecall.output.page import Page
from rolecall.output.recap import RunStory, log_line, recap_lines


class ConsoleListener:
    """Writes for a person at a terminal.

    Satisfied resources are listed, dimly: that they hold is what a second run is for. A long
    row of them in one role becomes one line, as does what is skipped after a failure;
    ``verbosity`` 1 lists every one, every line of output and uncut values.

    Of a fleet, failures are explained as they happen; what changed is told at the end, hosts
    with the same change together, unless ``verbosity`` asks for every line.

    Args:
        log: the run's log, named when something failed.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        console: Console,
        verbosity: int = 0,
        log: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._page = Page(console, verbose=verbosity > 0)
        self._story = RunStory(log=log)
        self._clock = clock
        self._activity = Activity(self._page.charset, clock)
        self._live: Live | None = None
        self._hosts: dict[str, HostLines] = {}
        self._fleet: Fleet | None = None
        self._after: list[Message] = []
        self._started = clock()

    def handle(self, event: Event) -> None:
        """Show the event.

        Raises:
            BrokenPipeError: the terminal is gone.
        """
        self._activity.follow(event)
        match event:
            case RunStarted():
                self._begin(event)
            case Applying():
                self._host(event).applying(event)
                self._story.applying[event.host] = event.id
            case Output():
                self._host(event).output(event)
            case TextDiff():
                self._host(event).diff(event)
            case ResourceDone():
                self._done(self._host(event), event)
            case HostDone():
                self._host_done(self._host(event), event)
            case Message():
                self._message(event)
            case Remain():
                self._story.next = event.next

    def finish(self, recap: Recap) -> None:
        """Show the recap and, below it, what to do next."""
        for host in self._hosts.values():
            host.flush()
        self._stop()
        if self._fleet:
            self._fleet.tell()
        page = self._page
        counted = any(any(vars(counts).values()) for counts in recap.hosts.values())
        if counted or not self._story.unfinished:
            took = self._clock() - self._started
            page.print(recap_lines(recap, self._story, took, page.charset, page.console))
        if line := log_line(recap, self._story, page.charset):
            page.console.print(line, soft_wrap=True)
        for message in self._after:
            page.print(Text())
            page.message(message)
            if self._fleet:
                self._fleet.same(message)

    # Beginning and end

    def _begin(self, event: RunStarted) -> None:
        self._story.check = self._page.check = event.check
        self._story.done = dict.fromkeys(event.hosts)
        self._started = self._clock()
        self._hosts = {host: HostLines(self._page) for host in event.hosts}
        names = [self._page.charset.text(host) for host in event.hosts]
        self._page.wide = max(map(len, names)) if len(names) > 1 else 0
        together = is_fleet(len(names)) and not self._page.verbose
        self._fleet = Fleet(self._page, event.hosts) if together else None
        where = f"{len(names)} hosts" if len(names) > 3 else ", ".join(names)
        line = Text(self._page.charset.text(event.task), style="bold")
        line.append(f" on {where}", "not bold")
        if event.check:
            line.append(" (check)", "not bold dim")
        self._page.print(line)
        self._live = Live(
            self._activity,
            console=self._page.console,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        atexit.register(self._stop)
        self._live.start()

    def pause(self) -> None:
        """Take the live region away: the user is asked for something."""
        if self._live:
            self._live.stop()

    def resume(self) -> None:
        """Bring it back."""
        if self._live:
            self._live.start()

    def _stop(self) -> None:
        """End the live region, which gives the terminal its cursor back."""
        live, self._live = self._live, None
        if live:
            live.stop()
        atexit.unregister(self._stop)

    # Hosts

    def _host(self, event: Event) -> HostLines:
        return self._hosts.setdefault(event.host, HostLines(self._page))

    def _host_done(self, host: HostLines, event: HostDone) -> None:
        host.flush()
        self._story.done[event.host] = event
        self._story.applying.pop(event.host, None)
        if event.error and not host.explained:
            self._page.panel(event.host, "", "failed", event.error, event.hint)
        if not self._story.unfinished:
            self._stop()

    def _done(self, host: HostLines, event: ResourceDone) -> None:
        self._story.applying.pop(event.host, None)
        if event.outcome == "skipped" and not event.role:
            self._story.no_turn.add(event.host)
        if event.outcome in ("failed", "unreachable"):
            host.flush()
            host.take_diffs(event)
            host.explained = True
            self._story.failures.append(event)
            if not (self._fleet and self._fleet.refers(event)):
                host.failure(event)
        elif self._fleet:
            if event.outcome != "ok":
                self._fleet.gather(event, host.take_diffs(event))
        elif event.outcome in ("ok", "skipped"):
            host.unchanged(event)
        else:
            host.changed(event)

    def _message(self, event: Message) -> None:
        """At once during the run; what comes when all is done belongs below the recap."""
        if self._fleet and event.host and event.style in ("info", "good"):
            if self._fleet.first_to_say(event):
                self._after.append(event)
        elif self._story.done and not self._story.unfinished:
            self._after.append(event)
        else:
            self._page.message(event)
