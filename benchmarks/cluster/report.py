"""What was measured, as a table and as JSON."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.cluster.measure import Result
from benchmarks.peers.measure import Samples

#: The size that goals are about, and how often a list a run without changes may take.
SIZE, LIMIT = 200, 1.5


def as_data(results: Sequence[Result], version: str, rounds: int) -> dict[str, Any]:
    """Everything that was measured, for JSON."""
    return {
        "python": platform.python_version(),
        "kubernetes": version,
        "rounds": rounds,
        "cases": [
            {
                "size": result.size,
                "digest": result.digest,
                "lists": list(result.lists),
                "tools": [
                    {
                        "tool": figures.tool,
                        "rounds": figures.rounds,
                        "first": _samples(figures.first),
                        "noop": _samples(figures.noop),
                    }
                    for figures in result.figures
                ],
            }
            for result in results
        ],
    }


def _samples(samples: Samples) -> dict[str, Any] | None:
    if not samples.seconds:
        return None
    return {
        "seconds": samples.seconds,
        "ratios": samples.ratios,
        "median": samples.median,
        "ratio": samples.ratio,
    }


def write(data: dict[str, Any], folder: Path) -> Path:
    """Write the JSON; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "k8s.json"
    path.write_text(json.dumps(data, indent=1) + "\n")
    return path


def show(console: Console, results: Sequence[Result]) -> None:
    """Print the table, and which goals were met."""
    table = Table(title="The same objects, whole commands; x is the ratio to kubectl get")
    for column in ("objects", "tool", "no-op", "x", "first run", "x", "no-op vs Rolecall", "n"):
        table.add_column(column, justify="left" if column in {"objects", "tool"} else "right")
    for result in results:
        listed = statistics.median(result.lists)
        table.add_row(str(result.size), "kubectl get", f"{listed:.2f} s", "1", "", "", "", "")
        ours = next((f.noop.ratio for f in result.figures if f.tool == "rolecall"), None)
        for figures in result.figures:
            first, noop = figures.first, figures.noop
            table.add_row(
                "",
                figures.tool,
                f"{noop.median:.2f} s",
                f"{noop.ratio:.2f}",
                f"{first.median:.2f} s" if first.seconds else "",
                f"{first.ratio:.1f}" if first.seconds else "",
                f"{noop.ratio / ours:.1f}" if ours else "",
                f"{figures.rounds}/{len(noop.seconds)}",
            )
        table.add_section()
    console.print(table)
    console.print(
        "n: rounds, and runs without changes in them. Medians. All tools made the same objects, "
        "and no run without changes moved a resource version."
    )
    for line in goals(results):
        console.print(line)


def goals(results: Sequence[Result]) -> list[str]:
    """Each goal that could be measured, and whether it was met."""
    lines = []
    for result in results:
        ratios = {figures.tool: figures.noop.ratio for figures in result.figures}
        ours = ratios.pop("rolecall", None)
        if result.size != SIZE or ours is None:
            continue
        lines.append(_line(f"no-op of {SIZE}, to kubectl get", ours, LIMIT))
        for name, ratio in ratios.items():
            lines.append(_line(f"no-op of {SIZE}, to {name}", ours / ratio, 1.0))
    return lines


def _line(text: str, value: float, limit: float) -> str:
    return f"{'met   ' if value <= limit else 'MISSED'} {text}: {value:.2f} (at most {limit:g})"
