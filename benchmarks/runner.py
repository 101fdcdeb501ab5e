#!/usr/bin/env python3
"""Rolecall beside pyinfra, bundlewrap and Ansible: the same desired state on the same hosts.

Run it with the Python of the test environment (``./inv test`` makes it):

    .venv/bin/python benchmarks/runner.py             # everything; about half an hour
    .venv/bin/python benchmarks/runner.py --quick     # 10 resources, one round
    .venv/bin/python benchmarks/runner.py --fleet     # 10, 50 and 200 hosts: time and memory

The hosts are sshd on loopback, run as the current user; nothing needs root. The peers are
installed on first use, each in an environment of its own, below ``.rolecall/benchmark``. Rounds
are interleaved, every run stands between two bare ``ssh HOST true``, and what is reported is the
median of the ratios to them. docs/benchmarks.md explains the figures.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from rich.console import Console  # noqa: E402

from benchmarks.peers import report  # noqa: E402
from benchmarks.peers.environments import NotInstalled  # noqa: E402
from benchmarks.peers.fleet import loads  # noqa: E402
from benchmarks.peers.hosts import running  # noqa: E402
from benchmarks.peers.measure import Bench, Case, Result, WrongResult  # noqa: E402
from benchmarks.peers.tools import TOOLS, Tool  # noqa: E402

NAMES = [tool.name for tool in TOOLS]


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--tools", default=",".join(NAMES), help="which, with commas")
    parser.add_argument(
        "--sizes", default="10,50,500,50x10", help="resources, or resources x hosts, with commas"
    )
    parser.add_argument("--rounds", type=int, default=5, help="at most")
    parser.add_argument(
        "--patience",
        type=float,
        default=180,
        metavar="SECONDS",
        help="what all rounds of one tool with one size may take; the first always runs",
    )
    parser.add_argument("--quick", action="store_true", help="10 resources, one round")
    parser.add_argument("--fleet", action="store_true", help="measure the controller instead")
    parser.add_argument(
        "--fleet-sizes", default="10,50,200", help="with --fleet: how many hosts, with commas"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / ".rolecall" / "benchmark" / "results",
        help="the folder for runner.json and runner.png",
    )
    parser.add_argument("--no-figure", action="store_true", help="write the JSON only")
    return parser.parse_args(argv)


def cases(text: str) -> list[Case]:
    """``10,50x10`` as cases.

    Raises:
        ValueError: it is of another form.
    """
    found = []
    for part in text.split(","):
        size, _, hosts = part.partition("x")
        case = Case(int(size), int(hosts or 1))
        if case.size < 10 or case.size % 10 or case.hosts < 1:
            raise ValueError(f"{part}: sizes are multiples of ten")
        found.append(case)
    return found


def chosen(text: str, console: Console) -> tuple[list[Tool], dict[str, str]]:
    """The tools that were asked for and can be had, and their versions.

    Raises:
        ValueError: there is no such tool.
        NotInstalled: none can be had.
    """
    tools: list[Tool] = []
    versions: dict[str, str] = {}
    for name in text.split(","):
        if name not in NAMES:
            raise ValueError(f"{name}: the tools are {', '.join(NAMES)}")
        tool = TOOLS[NAMES.index(name)]
        try:
            versions[name] = tool.version()
            tools.append(tool)
        except NotInstalled as error:
            console.print(f"without {name}: {error}")
    if not tools:
        raise NotInstalled("there is no tool to measure")
    return tools, versions


def compare(options: argparse.Namespace, folder: Path, console: Console) -> dict[str, Any]:
    """Measure the tools side by side, and print the table."""
    wanted_cases = cases("10" if options.quick else options.sizes)
    rounds = 1 if options.quick else options.rounds
    tools, versions = chosen(options.tools, console)
    names = [f"node{n:02}" for n in range(max(case.hosts for case in wanted_cases))]
    results: list[Result] = []
    with running(folder, names, len(names)) as fleet:
        bench = Bench(folder, fleet, rounds, options.patience, console.log)
        for case in wanted_cases:
            results.append(bench.measure(case, tools))
            data = report.as_data(results, versions, rounds)
            report.write(data, options.output)  # a later case may take long, or fail
    report.show(console, results, versions)
    return data


def terminated(signal_number: int, _: FrameType | None) -> None:
    """End as after Ctrl-C: no sshd is left running."""
    sys.exit(128 + signal_number)


def main(argv: Sequence[str]) -> int:
    """Measure, print, write; returns the exit status."""
    signal.signal(signal.SIGTERM, terminated)
    options = arguments(argv)
    console = Console(width=None if sys.stdout.isatty() else 110)
    # ssh's control sockets must have short names: no deep folder.
    with tempfile.TemporaryDirectory(prefix="rb-") as temporary:
        folder = Path(temporary).resolve()
        try:
            if options.fleet:
                sizes = [int(size) for size in options.fleet_sizes.split(",")]
                found = loads(folder, sizes, console.log)
                report.show_loads(console, found)
                data: dict[str, Any] = {"fleet": [asdict(load) for load in found]}
            else:
                data = compare(options, folder, console)
        except ValueError as error:
            console.print(f"error: {error}", markup=False)
            return 2
        except (WrongResult, NotInstalled) as error:
            console.print(f"error: {error}", markup=False)
            return 1
    path = report.write(data, options.output)
    console.print(f"written: {path}")
    if data.get("cases") and not options.no_figure:
        report.draw(path, console)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
