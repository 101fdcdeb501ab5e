#!/usr/bin/env python3
"""Rolecall beside kubectl: the same objects in one namespace of a real API server.

Run it with the Python of the test environment (``./inv test`` makes it):

    .venv/bin/python benchmarks/k8s.py               # 20, 200 and 1000 objects
    .venv/bin/python benchmarks/k8s.py --quick       # 20 objects, one round

etcd and kube-apiserver are those of the tests, on loopback, as the current user. Rounds are
interleaved, every run stands between two ``kubectl get`` of as many objects, and what is reported
is the median of the ratios to them. docs/benchmarks.md explains the figures.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from rich.console import Console  # noqa: E402

from benchmarks.cluster import report  # noqa: E402
from benchmarks.cluster.measure import Bench, Result  # noqa: E402
from benchmarks.cluster.server import running  # noqa: E402
from benchmarks.cluster.tools import TOOLS  # noqa: E402
from benchmarks.peers.environments import NotInstalled  # noqa: E402
from benchmarks.peers.measure import WrongResult  # noqa: E402


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--tools", default=",".join(TOOLS), help="which, with commas")
    parser.add_argument("--sizes", default="20,200,1000", help="objects, with commas")
    parser.add_argument("--rounds", type=int, default=5, help="at most")
    parser.add_argument(
        "--patience",
        type=float,
        default=180,
        metavar="SECONDS",
        help="what all rounds of one tool with one size may take; the first always runs",
    )
    parser.add_argument("--quick", action="store_true", help="20 objects, one round")
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / ".rolecall" / "benchmark" / "results",
        help="the folder for k8s.json",
    )
    options = parser.parse_args(argv)
    options.tools = options.tools.split(",")
    if unknown := [name for name in options.tools if name not in TOOLS]:
        parser.error(f"{unknown[0]}: the tools are {', '.join(TOOLS)}")
    options.sizes = [int(size) for size in options.sizes.split(",")]
    if any(size < 10 or size % 10 for size in options.sizes):
        parser.error("--sizes: multiples of ten")
    if options.quick:
        options.sizes, options.rounds = [20], 1
    return options


def compare(options: argparse.Namespace, folder: Path, console: Console) -> Path:
    """Measure the tools side by side, and print the table; returns where the JSON is."""
    results: list[Result] = []
    with running(folder) as server:
        version = server.version()
        bench = Bench(folder, server, options.rounds, options.patience, console.log)
        for size in options.sizes:
            results.append(bench.measure(size, options.tools))
            data = report.as_data(results, version, options.rounds)
            path = report.write(data, options.output)  # a later size may take long, or fail
    report.show(console, results)
    return path


def terminated(signal_number: int, _: FrameType | None) -> None:
    """End as after Ctrl-C: no server is left running."""
    sys.exit(128 + signal_number)


def main(argv: Sequence[str]) -> int:
    """Measure, print, write; returns the exit status."""
    signal.signal(signal.SIGTERM, terminated)
    options = arguments(argv)
    console = Console(width=None if sys.stdout.isatty() else 110)
    with tempfile.TemporaryDirectory(prefix="rb-") as temporary:
        try:
            path = compare(options, Path(temporary).resolve(), console)
        except (WrongResult, NotInstalled) as error:
            console.print(f"error: {error}", markup=False)
            return 1
    console.print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
