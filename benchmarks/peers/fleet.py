"""What a controller needs for many hosts: time for each, and memory in all."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.hosts import Fleet, running
from benchmarks.peers.measure import WrongResult
from benchmarks.peers.state import wanted
from benchmarks.peers.tools import Invocation, Rolecall, base_environment

#: Resources on each host.
SIZE = 50

#: sshd that the hosts share.
SERVERS = 4


@dataclass(frozen=True)
class Load:
    """What one run of a controller took.

    Attributes:
        seconds: of the whole command.
        cpu: seconds of processor time of the controller alone.
        peak_mib: the most memory it held at a time (resident).
    """

    hosts: int
    what: str
    seconds: float
    cpu: float
    peak_mib: float


def loads(folder: Path, sizes: Sequence[int], say: Callable[[str], None]) -> list[Load]:
    """First run and run without changes on fleets of these sizes."""
    tool = Rolecall()
    found: list[Load] = []
    names = [f"node{number:03}" for number in range(max(sizes))]
    home = folder / "controller"
    home.mkdir(parents=True)
    with running(folder / "fleet", names, SERVERS) as fleet:
        for size in sizes:
            part = fleet.first(size)
            _empty(part, tool.name)
            call = tool.set_up(folder / f"project-{size}", wanted(SIZE), part)
            for what in ("first", "no-op"):
                say(f"{size} hosts, {what} run")
                load, output = _run(call, home, size, what)
                changes = tool.changes(output)
                if changes != (SIZE * size if what == "first" else 0):
                    raise WrongResult(f"{changes} changes in a {what} run:\n{output[-2000:]}")
                found.append(load)
    return found


def _empty(fleet: Fleet, tool: str) -> None:
    fleet.wipe(tool)


def _run(call: Invocation, home: Path, hosts: int, what: str) -> tuple[Load, str]:
    output = home / "output"
    with open(output, "wb") as out:
        started = time.perf_counter()
        process = subprocess.Popen(
            call.command,
            cwd=call.folder,
            env=base_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    text = output.read_text(errors="replace")
    if process.returncode != 0:
        raise WrongResult(f"{call.command[0]} failed:\n{text[-3000:]}")
    cpu = usage.ru_utime + usage.ru_stime
    return Load(hosts, what, seconds, cpu, usage.ru_maxrss / 1024), text
