"""What was measured, as a table, as JSON, and as a figure."""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.peers.environments import NotInstalled, environment
from benchmarks.peers.fleet import Load
from benchmarks.peers.measure import Figures, Result

GOALS = (
    ("no-op of 50 on 1 host, to a bare ssh", "at most", 1.5),
    ("no-op of 500 on 1 host, to a bare ssh", "at most", 3.0),
    ("no-op of 50 on 1 host, against pyinfra", "at least", 30.0),
    ("no-op of 50 on 1 host, against ansible", "at least", 100.0),
    ("first run of 50 on 1 host, against pyinfra", "at least", 10.0),
)


def as_data(results: Sequence[Result], versions: Mapping[str, str], rounds: int) -> dict[str, Any]:
    """Everything that was measured, for JSON."""
    return {
        "python": platform.python_version(),
        "ssh": _ssh_version(),
        "versions": dict(versions),
        "rounds": rounds,
        "cases": [
            {
                "size": result.case.size,
                "hosts": result.case.hosts,
                "digest": result.digest,
                "bare_ssh": list(result.bare),
                "tools": [_tool(figures) for figures in result.figures],
            }
            for result in results
        ],
    }


def _tool(figures: Figures) -> dict[str, Any]:
    return {
        "tool": figures.tool,
        "rounds": figures.rounds,
        **{
            name: {
                "seconds": samples.seconds,
                "ratios": samples.ratios,
                "median": samples.median,
                "ratio": samples.ratio,
            }
            for name, samples in (("first", figures.first), ("noop", figures.noop))
        },
    }


def show(console: Console, results: Sequence[Result], versions: Mapping[str, str]) -> None:
    """Print the table."""
    table = Table(title="The same state, whole commands; x is the ratio to a bare ssh HOST true")
    for column in ("resources", "tool", "no-op", "x", "first run", "x", "no-op vs Rolecall", "n"):
        table.add_column(column, justify="left" if column in {"resources", "tool"} else "right")
    for result in results:
        bare = statistics.median(result.bare)
        table.add_row(result.case.title, "bare ssh", f"{bare:.2f} s", "1", "", "", "", "")
        ours = next((f for f in result.figures if f.tool == "rolecall"), None)
        for figures in result.figures:
            table.add_row(
                "",
                f"{figures.tool} {versions[figures.tool]}",
                f"{figures.noop.median:.2f} s",
                f"{figures.noop.ratio:.1f}",
                f"{figures.first.median:.2f} s",
                f"{figures.first.ratio:.1f}",
                f"{figures.noop.ratio / ours.noop.ratio:.1f}" if ours else "",
                f"{figures.rounds}/{len(figures.noop.seconds)}",
            )
        table.add_section()
    console.print(table)
    console.print(
        "n: rounds, and runs without changes in them; the slower tools get fewer. Medians. "
        "All tools made the same tree, and a second run of each reported no change."
    )
    for line in goals(results):
        console.print(line)


def goals(results: Sequence[Result]) -> list[str]:
    """Each goal that could be measured, and whether it was met."""
    ratios = _goal_ratios(results)
    lines = []
    for text, kind, limit in GOALS:
        value = ratios.get(text)
        if value is None:
            continue
        met = value <= limit if kind == "at most" else value >= limit
        lines.append(f"{'met   ' if met else 'MISSED'} {text}: {value:.2f} ({kind} {limit:g})")
    return lines


def _goal_ratios(results: Sequence[Result]) -> dict[str, float]:
    noop: dict[tuple[int, str], float] = {}
    first: dict[tuple[int, str], float] = {}
    for result in results:
        if result.case.hosts == 1:
            for figures in result.figures:
                noop[result.case.size, figures.tool] = figures.noop.ratio
                first[result.case.size, figures.tool] = figures.first.ratio
    ratios: dict[str, float] = {}
    for size in (50, 500):
        if (size, "rolecall") in noop:
            ratios[f"no-op of {size} on 1 host, to a bare ssh"] = noop[size, "rolecall"]
    for peer in ("pyinfra", "ansible"):
        if (50, "rolecall") in noop and (50, peer) in noop:
            ratios[f"no-op of 50 on 1 host, against {peer}"] = noop[50, peer] / noop[50, "rolecall"]
    if (50, "rolecall") in first and (50, "pyinfra") in first:
        ratios["first run of 50 on 1 host, against pyinfra"] = (
            first[50, "pyinfra"] / first[50, "rolecall"]
        )
    return ratios


def show_loads(console: Console, loads: Sequence[Load]) -> None:
    """Print what the controller needed for fleets of several sizes."""
    table = Table(title="One controller and many hosts")
    for column in ("hosts", "run", "seconds", "ms a host", "CPU ms a host", "peak memory"):
        table.add_column(column, justify="right")
    for load in loads:
        table.add_row(
            str(load.hosts),
            load.what,
            f"{load.seconds:.1f}",
            f"{1000 * load.seconds / load.hosts:.0f}",
            f"{1000 * load.cpu / load.hosts:.0f}",
            f"{load.peak_mib:.0f} MiB",
        )
    console.print(table)


def write(data: Mapping[str, Any], folder: Path) -> Path:
    """Write the JSON; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ("fleet.json" if "fleet" in data else "runner.json")
    path.write_text(json.dumps(data, indent=1) + "\n")
    return path


def draw(path: Path, console: Console) -> None:
    """Draw the JSON at ``path``, where matplotlib can be had."""
    try:
        python = environment("plot") / "bin" / "python"
    except NotInstalled as error:
        console.print(f"no figure: {error}")
        return
    figure = path.with_suffix(".png")
    script = Path(__file__).with_name("plot.py")
    subprocess.run([str(python), "-I", str(script), str(path), str(figure)], check=True)
    console.print(f"written: {figure}")


def _ssh_version() -> str:
    done = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True)
    return done.stderr.split(",")[0].strip()
