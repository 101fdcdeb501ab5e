"""The terminal: a line a resource, grouped by role, and a live region for what is under way."""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from rich import box
from rich.console import Console, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from rolecall.events import (
    Applying,
    Event,
    HostDone,
    Message,
    Outcome,
    Output,
    Recap,
    Remain,
    ResourceDone,
    RunStarted,
    TextDiff,
)
from rolecall.output.changes import Shown, folded, shown
from rolecall.output.hosts import fold, is_fleet, number_of, without_host
from rolecall.output.live import Activity
from rolecall.output.recap import RunStory, log_line, recap_lines
from rolecall.output.text import Charset, count, duration, gist
from rolecall.output.together import Gathered, Variant

#: Satisfied resources in a row of one role that are shown one by one; more become one line.
FOLD = 12

#: The same with several hosts, where the same roles come again and again.
FOLD_MANY = 3

#: Lines of a text's difference that are shown.
DIFF_LINES = 60

#: Different failures of a fleet that are explained in full.
PANELS = 5

#: Lines of output that explain a failure: with the rest of it, one screen.
TAIL = 20

_STYLES: dict[Outcome, str] = {
    "ok": "dim",
    "changed": "yellow",
    "would change": "yellow",
    "unknown until": "magenta",
    "skipped": "cyan",
    "failed": "bold red",
    "unreachable": "bold red",
}
_MESSAGES = {"info": "none", "good": "green", "warning": "yellow", "error": "bold red"}
_DIFF = {"+": "green", "-": "red", "@": "cyan"}


class Screen(Console):
    """A rich console that says when nobody reads any more, instead of exiting by itself."""

    def on_broken_pipe(self) -> None:
        """Called while the error is handled.

        Raises:
            BrokenPipeError: always.
        """
        raise BrokenPipeError


def screen(out: TextIO, width: int | None = None) -> Screen:
    """A console for a terminal. Nothing in a text is ever taken for markup."""
    return Screen(
        file=out,
        force_terminal=True,
        width=width,
        markup=False,
        highlight=False,
        emoji=False,
        soft_wrap=False,
    )


@dataclass
class _HostState:
    """What is known of a host and not yet on the screen."""

    diffs: dict[str, list[TextDiff]] = field(default_factory=dict)
    run: list[ResourceDone] = field(default_factory=list)
    applying: Applying | None = None
    explained: bool = False


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
        self._console = console
        self._charset = Charset.of(console.encoding)
        self._verbose = verbosity > 0
        self._story = RunStory(log=log)
        self._clock = clock
        self._activity = Activity(self._charset, clock)
        self._live: Live | None = None
        self._hosts: dict[str, _HostState] = {}
        self._after: list[Message] = []
        self._role = ""
        self._started = clock()
        self._wide = 0
        self._gathered: Gathered | None = None
        self._explained: dict[tuple[str, str], str] = {}
        self._said: dict[tuple[str, str], list[str]] = {}

    def handle(self, event: Event) -> None:
        """Show the event.

        Raises:
            BrokenPipeError: the terminal is gone.
        """
        self._activity.follow(event)
        state = self._hosts.setdefault(event.host, _HostState()) if event.host else _HostState()
        match event:
            case RunStarted():
                self._begin(event)
            case Applying():
                self._flush(event.host)
                state.applying = event
                self._story.applying[event.host] = event.id
            case Output():
                self._output(state, event)
            case TextDiff():
                state.diffs.setdefault(event.id, []).append(event)
            case ResourceDone():
                self._done(state, event)
            case HostDone():
                self._host_done(state, event)
            case Message():
                self._message(event)
            case Remain():
                self._story.next = event.next

    def finish(self, recap: Recap) -> None:
        """Show the recap and, below it, what to do next."""
        for host in self._hosts:
            self._flush(host)
        self._stop()
        if self._gathered:
            self._together(self._gathered)
        counted = any(any(vars(counts).values()) for counts in recap.hosts.values())
        if counted or not self._story.unfinished:
            took = self._clock() - self._started
            self._print(recap_lines(recap, self._story, took, self._charset, self._console))
        if line := log_line(recap, self._story, self._charset):
            self._console.print(line, soft_wrap=True)
        for message in self._after:
            self._print(Text())
            self._say(message)
            others = self._said.get(_gist(message), [])[1:]
            if others:
                ordered = [self._charset.text(host) for host in self._hosts if host in set(others)]
                alike = f"The same for {fold(ordered)}: -v shows it."
                self._print(Text(alike, style="dim"))

    # Beginning and end

    def _begin(self, event: RunStarted) -> None:
        self._story.check = event.check
        self._story.done = dict.fromkeys(event.hosts)
        self._started = self._clock()
        self._hosts = {host: _HostState() for host in event.hosts}
        names = [self._charset.text(host) for host in event.hosts]
        self._wide = max(map(len, names)) if len(names) > 1 else 0
        self._gathered = Gathered() if is_fleet(len(names)) and not self._verbose else None
        where = f"{len(names)} hosts" if len(names) > 3 else ", ".join(names)
        line = Text(self._charset.text(event.task), style="bold").append(f" on {where}", "not bold")
        if event.check:
            line.append(" (check)", "not bold dim")
        self._print(line)
        self._live = Live(
            self._activity,
            console=self._console,
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

    def _host_done(self, state: _HostState, event: HostDone) -> None:
        self._flush(event.host)
        self._story.done[event.host] = event
        self._story.applying.pop(event.host, None)
        if event.error and not state.explained:
            self._panel(event.host, "", "failed", event.error, event.hint)
        if not self._story.unfinished:
            self._stop()

    # Resources

    def _done(self, state: _HostState, event: ResourceDone) -> None:
        self._story.applying.pop(event.host, None)
        if event.outcome == "skipped" and not event.role:
            self._story.no_turn.add(event.host)
        if self._gathered and event.outcome not in ("failed", "unreachable"):
            if event.outcome != "ok":
                self._gathered.add(event, state.diffs.pop(event.id, []))
            return
        if event.outcome in ("ok", "skipped"):
            state.diffs.pop(event.id, None)
            if state.run and not _alike(state.run[-1], event):
                self._flush(event.host)
            state.run.append(event)
            return
        self._flush(event.host)
        diffs = state.diffs.pop(event.id, [])
        if event.outcome in ("failed", "unreachable"):
            state.explained = True
            self._story.failures.append(event)
            if not self._known(event):
                self._failure(event)
            return
        self._heading(event.role)
        self._changed(event, diffed=bool(diffs))
        self._diffs([(diff.path, diff.lines) for diff in diffs])

    def _flush(self, host: str) -> None:
        """Show the row of satisfied or skipped resources that has just come to its end."""
        state = self._hosts[host]
        row, state.run = state.run, []
        if not row:
            return
        first = row[0]
        after_failure = first.outcome == "skipped" and len({event.role for event in row}) > 1
        limit = FOLD_MANY if self._wide or after_failure else FOLD
        if self._verbose or (len(row) <= limit and not after_failure):
            for event in row:
                self._heading(event.role)
                self._one(event, self._charset.text(event.id), event.reason)
            return
        if first.outcome == "ok":
            self._heading(first.role)
            ends = self._charset.text(f"{first.id} {self._charset.ellipsis} {row[-1].id}")
            room = max(0, self._console.width - self._wide - 36)
            self._one(first, f"{len(row)} resources", self._charset.clip(ends, room))
        else:
            self._one(first, f"{len(row)} resources", first.reason)

    def _one(self, event: ResourceDone, name: str, detail: str) -> None:
        mark = self._charset.mark(event.outcome)
        details = [Text(self._charset.text(detail), style="dim")] if detail else []
        self._resource(event.host, event.outcome, _STYLES[event.outcome], mark, name, details)

    def _changed(self, event: ResourceDone, *, diffed: bool) -> None:
        shows, more = shown(event.changes, self._charset, full=self._verbose, diffed=diffed)
        word: str = event.outcome
        head: list[Text] = []
        if event.outcome == "unknown until":
            word = "unknown"
            head.append(Text(f"until {self._charset.text(event.reason)}", style="dim"))
        elif event.reason:
            head.append(Text(self._charset.text(event.reason), style="dim"))
        details = [self._change(show) for show in shows]
        if more:
            details.append(Text(f"{more} more", style="dim"))
        seconds = duration(event.seconds) if event.outcome == "changed" else ""
        if seconds and event.seconds >= 0.1:
            head.append(Text(seconds, style="dim"))
        self._resource(
            event.host,
            word,
            _STYLES[event.outcome],
            self._charset.mark(event.outcome),
            self._charset.text(event.id),
            head,
            details,
        )

    def _change(self, show: Shown) -> Text:
        line = Text(f"{show.field}: ", style="none")
        if show.before is None:
            return line.append(show.after or "", style="green")
        after = "nothing" if show.after is None else show.after
        line.append(show.before, style="red").append(f" {self._charset.arrow} ", style="dim")
        return line.append(after, style="green")

    def _resource(
        self,
        host: str,
        word: str,
        style: str,
        mark: str,
        name: str,
        head: Sequence[Text] = (),
        details: Sequence[Text] = (),
    ) -> None:
        """``MARK OUTCOME  ID  DETAILS``; details that do not fit get a line each."""
        line = Text("  ")
        if self._wide:
            line.append(f"{self._charset.text(host):<{self._wide}}  ", style="blue")
        line.append(f"{mark} {word:<{12 if self._story.check else 7}}", style=style)
        line.append(f"  {self._charset.text(name)}", style="dim" if style == "dim" else "none")
        for text in head:
            line.append("  ").append_text(text)
        inline = line.copy()
        for number, text in enumerate(details):
            inline.append("  " if number == 0 else ", ").append_text(text)
        if inline.cell_len <= self._console.width:
            self._print(inline)
            return
        # The terminal folds a long id by itself, so that it can be copied in one piece.
        self._console.print(line, soft_wrap=True)
        for text in details:
            self._indented(text, 6)

    def _heading(self, role: str) -> None:
        if role and role != self._role:
            self._role = role
            self._print(Text(self._charset.text(role), style="bold"))

    def _output(self, state: _HostState, event: Output) -> None:
        """Under a line that tells whose output it is, printed with the first of it."""
        if not self._verbose:
            return
        if state.applying:
            applying, state.applying = state.applying, None
            mark = self._charset.ellipsis[:1]
            self._heading(applying.role)
            self._resource(event.host, "applying", "cyan", mark, applying.id)
        prefix = f"{self._charset.text(event.host):<{self._wide}}  " if self._wide else ""
        line = Text(f"{prefix}{self._charset.rule} {self._charset.text(event.line)}", style="dim")
        self._indented(line, 4)

    def _diffs(self, diffs: Sequence[tuple[str, Sequence[str]]]) -> None:
        texts, new = folded(diffs, full=self._verbose)
        for path, lines in texts:
            self._diff(path, lines)
        if new:
            self._indented(Text(self._charset.text(new), style="dim"), 6)

    def _diff(self, path: str, difference: Sequence[str]) -> None:
        self._indented(Text(self._charset.text(path), style="bold"), 6)
        lines = difference if self._verbose else difference[:DIFF_LINES]
        for line in lines:
            style = _DIFF.get(line[:1], "dim")
            self._indented(Text(self._charset.text(line), style=style), 6)
        if more := len(difference) - len(lines):
            self._indented(Text(f"{more} more lines: -v shows them", style="dim"), 6)

    # A fleet

    def _together(self, gathered: Gathered) -> None:
        """Every change once, with the hosts that have it."""
        self._role, self._wide = "", 0
        if gathered.changed() or gathered.skipped():
            self._print(Text())
        for together in gathered.changed():
            self._heading(together.role)
            word = "unknown" if together.outcome == "unknown until" else together.outcome
            mark, style = self._charset.mark(together.outcome), _STYLES[together.outcome]
            variants, others = together.most_common()
            hosts = self._where(together.hosts)
            if len(variants) == 1:
                details = [hosts, *self._variant(variants[0])]
                self._resource("", word, style, mark, together.id, details=details)
                self._diffs(variants[0].diffs)
                continue
            self._resource("", word, style, mark, together.id, details=[hosts])
            for variant in variants:
                line = self._where(variant.hosts).append("  ")
                line.append_text(Text(", ").join(self._variant(variant)))
                self._indented(line, 6)
                self._diffs(variant.diffs)
            if others:
                text = f"  {self._charset.ellipsis} others"
                self._indented(self._where(others).append(text), 6)
        for reason, names, ids in gathered.skipped():
            what = count(len(ids), "resource") if ids else "no turn"
            mark = self._charset.mark("skipped")
            details = [self._where(names), Text(self._charset.text(reason), style="dim")]
            self._resource("", "skipped", _STYLES["skipped"], mark, what, details=details)

    def _where(self, hosts: Sequence[str]) -> Text:
        number = number_of(len(hosts), len(self._hosts))
        if len(hosts) == len(self._hosts):
            return Text(number, style="blue")
        ordered = [host for host in self._hosts if host in set(hosts)]
        return Text(self._charset.text(fold(ordered, 4)), style="blue").append(
            f" ({number})" if len(hosts) > 4 else ""
        )

    def _variant(self, variant: Variant) -> list[Text]:
        shows, more = shown(variant.changes, self._charset, diffed=bool(variant.diffs))
        details = [self._change(show) for show in shows]
        if variant.reason:
            details.insert(0, Text(self._charset.text(variant.reason), style="dim"))
        if more:
            details.append(Text(f"{more} more", style="dim"))
        return details

    def _known(self, event: ResourceDone) -> bool:
        """Of a fleet's failure that was explained before, say where."""
        if not self._gathered:
            return False
        name = without_host(event.id, event.host) if event.role else ""
        key = (name, without_host(event.reason, event.host))
        first = self._explained.setdefault(key, event.host)
        if first == event.host and len(self._explained) <= PANELS:
            return False
        reason = f"as on {first}" if first != event.host else gist(event.reason)
        mark = self._charset.mark(event.outcome)
        details = [Text(self._charset.text(reason), style="red")]
        style = _STYLES[event.outcome]
        self._resource(event.host, event.outcome, style, mark, name, details=details)
        return True

    # Failures, messages, recap

    def _failure(self, event: ResourceDone) -> None:
        self._heading(event.role)
        self._panel(
            event.host,
            event.id if event.role else "",
            event.outcome,
            event.reason,
            event.hint,
            f" after {duration(event.seconds)}" if event.seconds >= 1 else "",
        )

    def _panel(
        self, host: str, name: str, outcome: Outcome, reason: str, hint: str, after: str = ""
    ) -> None:
        first, *rest = self._charset.lines(reason)
        hidden = len(rest) - TAIL
        if hidden > 0 and not self._verbose:
            rest = [f"{self._charset.ellipsis} {count(hidden, 'line')} before", *rest[-TAIL:]]
        body = Text(first, style="bold")
        for line in rest:
            body.append(f"\n{self._charset.clip(line, 400)}", style="not bold")
        if hint:
            body.append("\n\nnext: ", style="bold cyan")
            body.append("\n".join(self._charset.lines(hint)), style="not bold")
        where = f" on {self._charset.text(host)}" if name and self._wide else ""
        title = self._charset.text(name or host) + where
        mark = self._charset.mark(outcome)
        self._print(
            Panel(
                body,
                title=Text(f"{mark} {outcome}{after}: {title}", style="bold red"),
                title_align="left",
                border_style="red",
                box=box.ROUNDED,
            )
        )

    def _message(self, event: Message) -> None:
        """At once during the run; what comes when all is done belongs below the recap."""
        if self._gathered and event.host and event.style in ("info", "good"):
            said = self._said.setdefault(_gist(event), [])
            said.append(event.host)
            if len(said) == 1:
                self._after.append(event)
        elif self._story.done and not self._story.unfinished:
            self._after.append(event)
        else:
            self._say(event)

    def _say(self, event: Message) -> None:
        for line in self._charset.lines(event.text):
            self._print(Text(line, style=_MESSAGES[event.style]))

    # Writing

    def _indented(self, text: Text, indent: int) -> None:
        """Print with a hanging indent, so that a long line stays in its column."""
        width = max(8, self._console.width - indent)
        for line in text.wrap(self._console, width, overflow="fold"):
            self._print(Text(" " * indent).append_text(line))

    def _print(self, renderable: RenderableType) -> None:
        self._console.print(renderable, overflow="fold")


def _gist(event: Message) -> tuple[str, str]:
    """What messages have in common that hosts of a fleet say alike: style and first words."""
    lines = without_host(event.text, event.host).split("\n")
    return event.style, lines[0][:12]


def _alike(left: ResourceDone, right: ResourceDone) -> bool:
    """Whether two resources belong to one row."""
    if left.outcome != right.outcome:
        return False
    if left.outcome == "skipped":
        return left.reason == right.reason
    return left.role == right.role
