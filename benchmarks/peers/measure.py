"""Interleaved rounds: every tool in turn, each run between two bare ssh of the same hosts."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.hosts import Fleet
from benchmarks.peers.state import digest, wanted
from benchmarks.peers.tools import Invocation, Tool, base_environment

#: Runs without changes in one round, where they are quick: they vary more than they cost.
REPEATS = 3

#: A run shorter than this, in seconds, is repeated.
QUICK = 5.0


class WrongResult(Exception):  # noqa: N818 - the message says what
    """A tool failed, or did not do what was asked: its figures would mean nothing."""


@dataclass(frozen=True)
class Case:
    """So many resources on each of so many hosts."""

    size: int
    hosts: int = 1

    @property
    def title(self) -> str:
        """As the table shows it."""
        return f"{self.size} on {self.hosts} host{'s' if self.hosts > 1 else ''}"


@dataclass
class Samples:
    """What was measured of one tool in one case.

    Attributes:
        seconds: of whole commands.
        ratios: of each to the mean of the bare ssh right before and right after it.
    """

    seconds: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)

    def add(self, seconds: float, bare: float) -> None:
        """Note one run."""
        self.seconds.append(seconds)
        self.ratios.append(seconds / bare)

    @property
    def median(self) -> float:
        """Of the seconds."""
        return statistics.median(self.seconds)

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)


@dataclass
class Figures:
    """One tool in one case: the runs that made everything, and those that found it made."""

    tool: str
    case: Case
    first: Samples = field(default_factory=Samples)
    noop: Samples = field(default_factory=Samples)
    rounds: int = 0


@dataclass(frozen=True)
class Result:
    """All figures of one case, the bare ssh of all its rounds, and the digest all trees have."""

    case: Case
    figures: tuple[Figures, ...]
    bare: tuple[float, ...]
    digest: str


class Bench:
    """Measures tools on a fleet.

    Attributes:
        folder: where the projects are written.
        rounds: at most.
        patience: seconds that all rounds of a tool in a case may take; the first always runs.
        say: told what goes on.
    """

    def __init__(
        self,
        folder: Path,
        fleet: Fleet,
        rounds: int,
        patience: float,
        say: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._fleet = fleet
        self._rounds = rounds
        self._patience = patience
        self._say = say
        self._home = folder / "controller"
        self._home.mkdir()
        self._bare: list[float] = []

    def measure(self, case: Case, tools: Sequence[Tool]) -> Result:
        """All rounds of one case.

        Raises:
            WrongResult: a tool failed, changed something without need, or made another tree.
        """
        fleet = self._fleet.first(case.hosts)
        state = wanted(case.size)
        self._bare = []
        figures = {tool.name: Figures(tool.name, case) for tool in tools}
        calls: dict[str, Invocation] = {}
        for tool in tools:
            project = self._folder / f"{tool.name}-{case.size}-{case.hosts}"
            calls[tool.name] = tool.set_up(project, state, fleet)
        spent = dict.fromkeys(figures, 0.0)
        for number in range(self._rounds):
            for tool in tools:
                if number and spent[tool.name] * (number + 1) / number > self._patience:
                    continue
                self._say(f"{case.title}: round {number + 1} of {self._rounds}, {tool.name}")
                started = time.monotonic()
                self._round(tool, calls[tool.name], fleet, figures[tool.name])
                spent[tool.name] += time.monotonic() - started
        digests = self._digests(tools, fleet)
        return Result(case, tuple(figures.values()), tuple(self._bare), digests.pop())

    def _round(self, tool: Tool, call: Invocation, fleet: Fleet, figures: Figures) -> None:
        fleet.wipe(tool.name)
        before = self._ssh(fleet)
        before = self._run(tool, call, fleet, figures.first, before, must_change=True)
        for repeat in range(REPEATS):
            if repeat and figures.noop.seconds[-1] > QUICK:
                break
            before = self._run(tool, call, fleet, figures.noop, before, must_change=False)
        figures.rounds += 1

    def _ssh(self, fleet: Fleet) -> float:
        self._bare.append(fleet.bare_ssh())
        return self._bare[-1]

    def _run(
        self,
        tool: Tool,
        call: Invocation,
        fleet: Fleet,
        samples: Samples,
        before: float,
        *,
        must_change: bool,
    ) -> float:
        seconds, output = timed(call, self._home)
        changes = tool.changes(output)
        if (changes > 0) != must_change:
            raise WrongResult(f"{tool.name} reports {changes} changes:\n{output[-2000:]}")
        after = self._ssh(fleet)
        samples.add(seconds, (before + after) / 2)
        return after

    def _digests(self, tools: Sequence[Tool], fleet: Fleet) -> set[str]:
        found = {
            (tool.name, host.name): digest(host.root(tool.name))
            for tool in tools
            for host in fleet.hosts
        }
        digests = set(found.values())
        if len(digests) != 1:
            raise WrongResult(f"the tools made different trees: {found}")
        return digests


def timed(call: Invocation, home: Path, more: Mapping[str, str] | None = None) -> tuple[float, str]:
    """Seconds and output of a whole command.

    Raises:
        WrongResult: it failed.
    """
    environment = {**base_environment(home), **call.environment, **(more or {})}
    started = time.perf_counter()
    done = subprocess.run(
        call.command,
        cwd=call.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise WrongResult(f"{call.command[0]} failed:\n{done.stdout[-3000:]}")
    return seconds, done.stdout
