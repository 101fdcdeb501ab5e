"""The hosts of a run side by side on one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rolecall.output.hosts import is_fleet
from rolecall.output.text import duration
from rolecall.report.model import UNFINISHED, Part, Point, Run, Span, Step

#: Marks of the axis at most.
MARKS = 6

#: Seconds between two marks.
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400)

#: Steps of one host that have a row of their own, at most, and from which part of the time on.
ROWS, WORTH = 12, 0.01

#: The least width of a bar, in percent, that can still be seen.
LEAST = 0.25


@dataclass(frozen=True)
class Bar:
    """One bar of a row; ``x`` and ``width`` are percent of the axis.

    Attributes:
        kind: how it is drawn: turn, connect, exchange, wait, answer, apply, job.
        lane: of a host's row: 0 round trips, 1 what is done or waited for meanwhile.
        title: what it is, with its times.
        progress: points of a line through it, in percent of the bar, as SVG has it.
    """

    x: float
    width: float
    kind: str
    lane: int
    outcome: str
    title: str
    progress: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the timeline: a host, or one of its steps.

    Attributes:
        name: what stands in front: a host, or the id of a resource.
        time: what stands behind.
        anchor: where on the page it is told in full.
        said: the row in words, for who does not see the bars.
    """

    name: str
    time: str
    host: str
    outcome: str
    bars: tuple[Bar, ...]
    anchor: str
    said: str
    is_host: bool


@dataclass(frozen=True)
class Timeline:
    """All rows, and the axis they share.

    Attributes:
        marks: position in percent and text.
        legend: the kinds of bars that there are, as classes and text.
        rows: what is worth a look; ``folded`` are hosts that did nothing but answer.
    """

    marks: tuple[tuple[float, str], ...]
    legend: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    folded: tuple[Row, ...]


def timeline(run: Run, anchors: dict[str, str]) -> Timeline:
    """Lay a run out. ``anchors`` are the places of the hosts on the page."""
    length = max([run.seconds, 0.1, *(part.over or 0.0 for part in run.parts.values())])
    rows: list[Row] = []
    folded: list[Row] = []
    fleet = is_fleet(len(run.parts))
    for host, part in run.parts.items():
        row = _host_row(part, run, length, anchors[host])
        if fleet and part.outcome in ("ok", "skipped"):
            folded.append(row)
            continue
        rows.append(row)
        if not fleet:
            rows += _step_rows(part, run, length, anchors[host])
    if not rows:
        rows, folded = folded, []
    return Timeline(marks(length), _legend([*rows, *folded]), tuple(rows), tuple(folded))


_LEGEND = {
    "turn": "waits for its turn",
    "connect": "connects",
    "exchange": "round trip",
    "wait": "waits for a lock",
    "answer": "is asked for an answer",
    "apply": "applies a change",
    "job": "follows a job",
    "failed": "fails",
    UNFINISHED: "not over",
}


def _legend(rows: Sequence[Row]) -> tuple[tuple[str, str], ...]:
    bars = [bar for row in rows for bar in row.bars]
    found = {bar.kind for bar in bars} | {bar.outcome for bar in bars}
    classes = {"failed": "apply failed", UNFINISHED: "apply not-over"}
    return tuple((classes.get(kind, kind), text) for kind, text in _LEGEND.items() if kind in found)


def marks(length: float) -> tuple[tuple[float, str], ...]:
    """Where the axis has marks, in percent, and their texts."""
    step = next((step for step in _STEPS if length / step <= MARKS), length / MARKS)
    count = int(length / step)
    return tuple((100 * n * step / length, _mark(n * step)) for n in range(count + 1))


def _mark(seconds: float) -> str:
    if seconds == 0:
        return "0"
    if seconds < 60:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d}" if minutes else f"{hours} h"
    return f"{minutes}:{rest:02d} min" if rest else f"{minutes} min"


def applied(part: Part, run: Run) -> list[tuple[Step, Span]]:
    """What was applied on a host, from when to when."""
    return [
        (
            step,
            Span(
                "apply",
                step.began,
                step.ended if step.ended is not None else (part.over or run.seconds),
                step.id,
                f"job {step.job.name}" if step.job else "",
                step.outcome,
            ),
        )
        for step in part.steps
        if step.began is not None
    ]


def _host_row(part: Part, run: Run, length: float, anchor: str) -> Row:
    bars = [_bar(span, length, int(span.kind != "exchange"), _kind(span)) for span in part.spans]
    bars += [
        _bar(span, length, 1, "job" if step.job else "apply", step.progress)
        for step, span in applied(part, run)
    ]
    time = duration(part.seconds) if part.turn is not None else "no turn"
    said = [f"{part.host}: {part.outcome}"]
    if part.turn is not None:
        said.append(f"from {duration(part.turn)} on for {time}")
    said += [f"{bar.title}" for bar in bars if bar.kind == "wait"]
    return Row(part.host, time, part.host, part.outcome, tuple(bars), anchor, ", ".join(said), True)


def _kind(span: Span) -> str:
    return "answer" if (span.kind, span.label) == ("wait", "answer") else span.kind


def _step_rows(part: Part, run: Run, length: float, anchor: str) -> list[Row]:
    worth = [one for one in applied(part, run) if one[0].bad or one[1].seconds >= WORTH * length]
    longest = sorted(worth, key=lambda one: (not one[0].bad, -one[1].seconds))[:ROWS]
    return [
        Row(
            step.id,
            duration(span.seconds),
            part.host,
            step.outcome,
            (_bar(span, length, 0, "job" if step.job else "apply", step.progress),),
            anchor,
            _title(span),
            is_host=False,
        )
        for step, span in worth
        if any(span is other for _, other in longest)
    ]


def _bar(span: Span, length: float, lane: int, kind: str, progress: Sequence[Point] = ()) -> Bar:
    width = max(LEAST, 100 * span.seconds / length)
    x = min(100 * span.begin / length, 100 - width)
    line = _line(progress, span) if span.seconds >= WORTH * length else ""
    return Bar(round(x, 3), round(width, 3), kind, lane, span.outcome, _title(span), line)


_SAID = {
    "turn": "waits for its turn",
    "connect": "connecting",
    "exchange": "round trip",
    "wait": "waits for the",
    "apply": "",
}


def _title(span: Span) -> str:
    what = f"{_SAID[span.kind]} {span.label}".strip() if span.kind != "turn" else _SAID["turn"]
    if span.kind == "connect":
        what = "connecting"
    if _kind(span) == "answer":
        what = "asked for an answer"
    if span.kind == "exchange":
        what = f"round trip ({span.label})"
    note = f", {span.note}" if span.note else ""
    outcome = f", {span.outcome}" if span.outcome else ""
    return f"{what}{outcome}{note}: {duration(span.seconds)}, from {duration(span.begin)} on"


def _line(points: Sequence[Point], span: Span) -> str:
    """The progress of a step as a line: right is later, up is more."""
    known = [point for point in points if point.total > 0]
    if len(known) < 2 or span.seconds <= 0:
        return ""
    return " ".join(
        f"{100 * (point.at - span.begin) / span.seconds:.1f},"
        f"{100 - 100 * min(1.0, max(0.0, point.done / point.total)):.1f}"
        for point in known
    )
