"""The end of a run on a terminal: a table of counts, and the run in a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from rolecall.events import Counts, HostDone, Recap, ResourceDone
from rolecall.output.hosts import fold, is_fleet, without_host
from rolecall.output.text import Charset, duration, gist

#: Different failures that the recap lists.
FAILURES = 15


@dataclass
class RunStory:
    """What the recap tells besides the counts.

    Attributes:
        done: how each host's part ended; None where it did not.
        no_turn: the hosts whose part never began.
        applying: the resource that each host is being changed in.
        log: the run's log.
        next: the command that does what is left to be done.
    """

    check: bool = False
    done: dict[str, HostDone | None] = field(default_factory=dict)
    no_turn: set[str] = field(default_factory=set)
    applying: dict[str, str] = field(default_factory=dict)
    failures: list[ResourceDone] = field(default_factory=list)
    log: Path | None = None
    next: str = ""

    @property
    def fleet(self) -> bool:
        """Whether its hosts are told together."""
        return is_fleet(len(self.done))

    @property
    def in_order(self) -> list[ResourceDone]:
        """The failures in the order of the hosts."""
        at = {host: number for number, host in enumerate(self.done)}
        return sorted(self.failures, key=lambda event: at.get(event.host, 0))

    @property
    def unfinished(self) -> list[str]:
        """The hosts whose part of the run was cut short."""
        return [
            host for host, done in self.done.items() if done is None and host not in self.no_turn
        ]


def recap_lines(
    recap: Recap, story: RunStory, seconds: float, charset: Charset, console: Console
) -> RenderableType:
    """The whole recap; ``seconds`` is the run's length. Where no table fits, lines."""
    rows = (_fleet_rows if story.fleet else _host_rows)(recap.hosts, story)
    table = _table(rows, story, charset)
    unlimited = console.options.update(max_width=10 * console.width)
    fits = Measurement.get(console, unlimited, table).maximum <= console.width
    return Group(
        Text(),
        table if fits else _lines(rows, story, charset),
        *_failures(story.in_order if len(story.done) > 1 else [], charset),
        *_verdict(recap, story, seconds, charset),
        *_left(recap, story, charset),
    )


def log_line(recap: Recap, story: RunStory, charset: Charset) -> Text | None:
    """Where to read on when something went wrong. Not to be wrapped: a path gets copied."""
    if story.log is None or not (recap.failed or story.unfinished):
        return None
    return Text(f"Log of this run: {charset.text(str(story.log))}", style="dim")


def _names(story: RunStory) -> tuple[str, ...]:
    changed = "would change" if story.check else "changed"
    return ("ok", changed, "skipped", "failed", "unreachable")


@dataclass(frozen=True)
class _Row:
    """One host of the table, or the hosts of a fleet that went alike.

    Attributes:
        counts: of each outcome, as text.
    """

    hosts: tuple[str, ...]
    counts: tuple[str, ...]
    trips: str
    time: str

    @property
    def name(self) -> str:
        """What stands in the first column."""
        return fold(self.hosts, 4)


def _host_rows(hosts: Mapping[str, Counts], story: RunStory) -> list[_Row]:
    return [_row([host], [counts], story) for host, counts in hosts.items()]


def _fleet_rows(hosts: Mapping[str, Counts], story: RunStory) -> list[_Row]:
    """Hosts that were ok, those that changed, and what went wrong, nearest to the prompt."""
    alike: dict[tuple[object, ...], list[str]] = {}
    for host, counts in hosts.items():
        wrong = counts.bad or host in story.unfinished or host in story.no_turn
        key = (True, *vars(counts).values()) if wrong else (False, bool(counts.changed))
        alike.setdefault(key, []).append(host)
    groups = sorted(alike.items(), key=lambda item: item[0][:2])
    return [_row(names, [hosts[name] for name in names], story) for _, names in groups]


def _row(names: Sequence[str], counts: Sequence[Counts], story: RunStory) -> _Row:
    done = [over for name in names if (over := story.done.get(name))]
    no_turn = all(name in story.no_turn for name in names)
    return _Row(
        tuple(names),
        tuple(
            _range(
                [
                    str(getattr(count, field_.name))
                    for count in sorted(counts, key=attrgetter(field_.name))
                ]
            )
            for field_ in fields(Counts)
        ),
        _range([str(n) for n in sorted(over.exchanges for over in done)]) if done else "?",
        _times([over.seconds for over in done], no_turn=no_turn),
    )


def _range(texts: Sequence[str]) -> str:
    """Such as ``3`` or ``3-12``, of texts in order."""
    return texts[0] if texts[0] == texts[-1] else f"{texts[0]}-{texts[-1]}"


def _times(seconds: Sequence[float], *, no_turn: bool) -> str:
    if not seconds:
        return "no turn" if no_turn else "not over"
    return _range([duration(value) for value in (min(seconds), max(seconds))])


_CELL_STYLES = ("green", "yellow", "cyan", "bold red", "bold red")


def _table(rows: Sequence[_Row], story: RunStory, charset: Charset) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    heading = f"{len(story.done)} hosts" if story.fleet else "host"
    table.add_column(heading, overflow="fold")
    for heading in (*_names(story), "round trips", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        cells = zip(row.counts, _CELL_STYLES, strict=True)
        table.add_row(
            Text(charset.text(row.name), style="bold"),
            *(Text(text, style=style if text != "0" else "dim") for text, style in cells),
            Text(row.trips, style="dim"),
            Text(row.time, style="dim"),
        )
    return table


def _lines(rows: Sequence[_Row], story: RunStory, charset: Charset) -> RenderableType:
    lines: list[Text] = []
    for row in rows:
        line = Text(charset.text(row.name), style="bold")
        for name, text, style in zip(_names(story), row.counts, _CELL_STYLES, strict=True):
            if text != "0":
                line.append(f"  {text} {name}", style=f"not bold {style}")
        lines.append(line)
    return Group(*lines)


def alike(failures: Sequence[ResourceDone]) -> list[tuple[list[str], ResourceDone]]:
    """Failures of the same resource for the same reason, and their hosts."""
    found: dict[tuple[str, str, str], tuple[list[str], ResourceDone]] = {}
    for event in failures:
        reason = without_host(gist(event.reason), event.host)
        key = (event.outcome, without_host(event.id, event.host), reason)
        found.setdefault(key, ([], event))[0].append(event.host)
    return list(found.values())


def _failures(failures: Sequence[ResourceDone], charset: Charset) -> list[Text]:
    """With several hosts, what failed where: the panels may have scrolled away."""
    lines: list[Text] = []
    found = alike(failures)
    for hosts, event in found[:FAILURES]:
        name = f" {charset.text(event.id)}" if event.role else ""
        reason = gist(event.reason)
        if len(hosts) > 1:
            reason = without_host(reason, event.host)
            name = without_host(name, event.host)
        text = f"{charset.text(fold(hosts))}: {event.outcome}{name}: {charset.text(reason)}"
        lines.append(Text(text, style="red"))
    if more := [host for hosts, _ in found[FAILURES:] for host in hosts]:
        lines.append(Text(f"{charset.text(fold(more))}: failed for other reasons", style="red"))
    return lines


def _verdict(recap: Recap, story: RunStory, seconds: float, charset: Charset) -> list[Text]:
    """The run in a sentence."""
    lines: list[Text] = []
    if story.unfinished:
        names = fold if story.fleet else ", ".join
        for hosts, where in _cut_short(story):
            lines.append(Text(charset.text(f"Not finished: {names(hosts)}{where}"), style="yellow"))
    elif recap.failed:
        pass
    elif not recap.changed:
        lines.append(Text(f"Nothing to change, in {duration(seconds)}.", style="green"))
    elif story.check:
        lines.append(Text("Nothing was written.", style="yellow"))
    else:
        lines.append(Text(f"Done in {duration(seconds)}.", style="green"))
    return lines


def _left(recap: Recap, story: RunStory, charset: Charset) -> list[Text]:
    """With several hosts, how many are left to be done, and the command that does them."""
    if len(story.done) < 2 or not (said := in_a_sentence(recap, story)):
        return []
    lines = [Text(said, style="bold red" if recap.failed else "yellow")]
    if story.next:
        lines.append(Text("next: ", style="bold cyan").append(charset.text(story.next), "not bold"))
    return lines


def _cut_short(story: RunStory) -> list[tuple[list[str], str]]:
    """Hosts that are not finished and what they were in; hosts in the same are together."""
    found: dict[str, list[str]] = {}
    for host in story.unfinished:
        where = f", in {story.applying[host]}" if host in story.applying else ""
        found.setdefault(without_host(where, host) if story.fleet else where, []).append(host)
    return [(hosts, where) for where, hosts in found.items()]


def in_a_sentence(recap: Recap, story: RunStory) -> str:
    """How a run on several hosts went, such as ``Of 50 hosts: 3 failed, 5 without a turn``."""
    counts = recap.hosts.values()
    parts = [
        (sum(1 for count in counts if count.failed), "failed"),
        (sum(1 for count in counts if count.unreachable), "unreachable"),
        (len(story.unfinished), "not finished"),
        (len(story.no_turn), "without a turn"),
    ]
    said = [f"{number} {what}" for number, what in parts if number]
    return f"Of {len(recap.hosts)} hosts: {', '.join(said)}." if said else ""
