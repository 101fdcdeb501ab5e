"""The end of a run on a terminal: a table of counts, and the run in a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from rolecall.events import Counts, HostDone, Recap, ResourceDone
from rolecall.output.text import Charset, duration


@dataclass
class RunStory:
    """What the recap tells besides the counts.

    Attributes:
        done: how each host's part ended; None where it did not.
        applying: the resource that each host is being changed in.
        log: the run's log.
    """

    check: bool = False
    done: dict[str, HostDone | None] = field(default_factory=dict)
    applying: dict[str, str] = field(default_factory=dict)
    failures: list[ResourceDone] = field(default_factory=list)
    log: Path | None = None

    @property
    def unfinished(self) -> list[str]:
        """The hosts whose part of the run was cut short."""
        return [host for host, done in self.done.items() if done is None]


def recap_lines(
    recap: Recap, story: RunStory, seconds: float, charset: Charset, console: Console
) -> RenderableType:
    """The whole recap; ``seconds`` is the run's length. Where no table fits, lines."""
    table = _table(recap.hosts, story, charset)
    unlimited = console.options.update(max_width=10 * console.width)
    fits = Measurement.get(console, unlimited, table).maximum <= console.width
    return Group(
        Text(),
        table if fits else _lines(recap.hosts, story, charset),
        *_failures(story.failures if len(story.done) > 1 else [], charset),
        *_verdict(recap, story, seconds, charset),
    )


def log_line(recap: Recap, story: RunStory, charset: Charset) -> Text | None:
    """Where to read on when something went wrong. Not to be wrapped: a path gets copied."""
    if story.log is None or not (recap.failed or story.unfinished):
        return None
    return Text(f"Log of this run: {charset.text(str(story.log))}", style="dim")


def _names(story: RunStory) -> tuple[str, ...]:
    changed = "would change" if story.check else "changed"
    return ("ok", changed, "skipped", "failed", "unreachable")


def _cells(counts: Counts) -> list[tuple[int, str]]:
    return [
        (counts.ok, "green"),
        (counts.changed, "yellow"),
        (counts.skipped, "cyan"),
        (counts.failed, "bold red"),
        (counts.unreachable, "bold red"),
    ]


def _table(hosts: Mapping[str, Counts], story: RunStory, charset: Charset) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("host", overflow="fold")
    for heading in (*_names(story), "round trips", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for host, counts in hosts.items():
        done = story.done.get(host)
        table.add_row(
            Text(charset.text(host), style="bold"),
            *(Text(str(n), style=style if n else "dim") for n, style in _cells(counts)),
            Text(str(done.exchanges) if done else "?", style="dim"),
            Text(duration(done.seconds) if done else "not over", style="dim"),
        )
    return table


def _lines(hosts: Mapping[str, Counts], story: RunStory, charset: Charset) -> RenderableType:
    lines: list[Text] = []
    for host, counts in hosts.items():
        line = Text(charset.text(host), style="bold")
        for name, (number, style) in zip(_names(story), _cells(counts), strict=True):
            if number:
                line.append(f"  {number} {name}", style=f"not bold {style}")
        lines.append(line)
    return Group(*lines)


def _failures(failures: Sequence[ResourceDone], charset: Charset) -> list[Text]:
    """With several hosts, what failed where: the panels may have scrolled away."""
    lines: list[Text] = []
    for event in failures:
        name = f" {charset.text(event.id)}" if event.role else ""
        reason = charset.text(event.reason.split("\n")[0])
        host = charset.text(event.host)
        lines.append(Text(f"{host}: {event.outcome}{name}: {reason}", style="red"))
    return lines


def _verdict(recap: Recap, story: RunStory, seconds: float, charset: Charset) -> list[Text]:
    """The run in a sentence."""
    lines: list[Text] = []
    if story.unfinished:
        for host in story.unfinished:
            where = f", in {story.applying[host]}" if host in story.applying else ""
            lines.append(Text(charset.text(f"Not finished: {host}{where}"), style="yellow"))
    elif recap.failed:
        pass
    elif not recap.changed:
        lines.append(Text(f"Nothing to change, in {duration(seconds)}.", style="green"))
    elif story.check:
        lines.append(Text("Nothing was written.", style="yellow"))
    else:
        lines.append(Text(f"Done in {duration(seconds)}.", style="green"))
    return lines
