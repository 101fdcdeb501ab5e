"""The runs on record, as a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rolecall.output.hosts import fold
from rolecall.output.runlog import PastRun
from rolecall.output.text import Charset, count, duration

#: What the list says of a run that has no end.
NO_END = "no end on record: it still runs, or was killed"

_HEADINGS = ("RUN", "WHEN", "TASK", "HOSTS", "OUTCOME", "TOOK", "BY")


def counted(run: PastRun) -> dict[str, int]:
    """Resources of all hosts by outcome; none of a run that has no end."""
    totals: dict[str, int] = {}
    for counts in (run.recap or {}).values():
        for name, number in counts.items():
            totals[name] = totals.get(name, 0) + number
    return totals


def why(run: PastRun) -> str:
    """How a run ended, where it did not simply come to its end."""
    if run.ended == "unknown":
        return NO_END
    if run.ended == "stopped":
        return f"stopped: {run.reason.splitlines()[0] if run.reason else 'by an error'}"
    return run.ended if run.ended != "finished" else ""


def as_data(run: PastRun) -> dict[str, Any]:
    """One run as JSON-ready data."""
    return {
        "run": run.run,
        "started": run.started.isoformat(),
        "task": run.task,
        "check": run.check,
        "hosts": list(run.hosts),
        "by": run.by,
        "ended": run.ended,
        "reason": run.reason,
        "seconds": round(run.seconds, 3),
        "counts": counted(run),
        "log": str(run.path),
    }


def table(runs: Sequence[PastRun], charset: Charset, width: int) -> list[str]:
    """The runs in aligned columns, as wide as the longest entry; texts are clean."""
    rows = [_HEADINGS, *(_row(run, charset) for run in runs)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(_HEADINGS))]
    return [charset.clip("  ".join(_padded(row, widths)).rstrip(), max(width, 60)) for row in rows]


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [f"{text:<{width}}" for text, width in zip(row, widths, strict=True)]


def _row(run: PastRun, charset: Charset) -> tuple[str, ...]:
    outcome = [f"{number} {name}" for name, number in counted(run).items() if number]
    if said := why(run):
        outcome.insert(0, said)
    cells = (
        run.run,
        run.started.astimezone().strftime("%d %b %H:%M"),
        f"{run.task} (check)" if run.check else run.task,
        count(len(run.hosts), "host") if len(run.hosts) > 3 else fold(run.hosts),
        ", ".join(outcome) or "nothing to do",
        duration(run.seconds),
        run.by,
    )
    return tuple(charset.clip(charset.text(cell), 60) for cell in cells)
