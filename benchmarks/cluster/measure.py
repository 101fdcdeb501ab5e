"""Interleaved rounds: every tool in turn, each run between two lists by ``kubectl get``."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cluster.manifests import INSTANCE, manifests
from benchmarks.cluster.server import Key, Server, versions
from benchmarks.cluster.tools import Tool, tools
from benchmarks.peers.measure import QUICK, REPEATS, Samples, WrongResult, timed

#: What the server, its controllers and kubectl note on objects.
NOTES = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
)


@dataclass
class Figures:
    """One tool: the runs that made everything, and those that found it made."""

    tool: str
    first: Samples = field(default_factory=Samples)
    noop: Samples = field(default_factory=Samples)
    rounds: int = 0


@dataclass(frozen=True)
class Result:
    """All figures of one size, the lists of all its rounds, and the digest all objects have."""

    size: int
    figures: tuple[Figures, ...]
    lists: tuple[float, ...]
    digest: str


class Bench:
    """Measures tools on a server.

    Attributes:
        folder: where the projects are written.
        rounds: at most.
        patience: seconds that all rounds of a tool with a size may take; the first always runs.
        say: told what goes on.
    """

    def __init__(
        self,
        folder: Path,
        server: Server,
        rounds: int,
        patience: float,
        say: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._server = server
        self._rounds = rounds
        self._patience = patience
        self._say = say
        self._lists: list[float] = []

    def measure(self, size: int, names: Sequence[str]) -> Result:
        """All rounds of one size.

        Raises:
            WrongResult: a tool failed, wrote something without need, or made other objects.
        """
        self._lists = []
        things = manifests(size)
        compared = tools(names, self._folder / str(size), self._server, things)
        floor = f"{INSTANCE}-list-{size}"
        for namespace in (floor, *(tool.namespace for tool in compared)):
            self._server.make(namespace)
        files = str(self._folder / str(size) / "manifests")
        self._server.run(floor, "create", "-f", files)
        figures = {tool.name: Figures(tool.name) for tool in compared}
        spent = dict.fromkeys(figures, 0.0)
        for tool in compared:
            self._say(f"{size} objects: {tool.name} gets to know the server")
            timed(tool.makes or tool.call, self._server.home)
        for number in range(self._rounds):
            for tool in compared:
                if number and spent[tool.name] * (number + 1) / number > self._patience:
                    continue
                self._say(f"{size} objects: round {number + 1} of {self._rounds}, {tool.name}")
                started = time.monotonic()
                self._round(tool, floor, size, figures[tool.name])
                spent[tool.name] += time.monotonic() - started
        digests = self._digests([floor, *(tool.namespace for tool in compared)])
        return Result(size, tuple(figures.values()), tuple(self._lists), digests.pop())

    def _round(self, tool: Tool, floor: str, size: int, figures: Figures) -> None:
        if tool.makes is None:
            self._server.wipe(tool.namespace)
            self._run(tool, floor, figures.first, size)
        made = self._server.objects(tool.namespace)
        if len(made) != size:
            raise WrongResult(f"{tool.name} made {len(made)} objects of {size}")
        for repeat in range(REPEATS):
            if repeat and figures.noop.seconds[-1] > QUICK:
                break
            self._run(tool, floor, figures.noop, 0)
        moved = _moved(made, self._server.objects(tool.namespace))
        if moved:
            raise WrongResult(f"{tool.name} wrote without need: {', '.join(moved[:5])}")
        figures.rounds += 1

    def _run(self, tool: Tool, floor: str, samples: Samples, changes: int) -> None:
        before = self._list(floor)
        seconds, output = timed(tool.call, self._server.home)
        tool.check(output, changes)
        samples.add(seconds, (before + self._list(floor)) / 2)

    def _list(self, floor: str) -> float:
        self._lists.append(timed(self._server.list_call(floor), self._server.home)[0])
        return self._lists[-1]

    def _digests(self, namespaces: Sequence[str]) -> set[str]:
        found = {name: digest(self._server.objects(name)) for name in namespaces}
        digests = set(found.values())
        if len(digests) != 1:
            raise WrongResult(f"the tools made different objects: {found}")
        return digests


def _moved(before: Mapping[Key, Any], after: Mapping[Key, Any]) -> list[str]:
    then, now = versions(before), versions(after)
    return [
        f"{kind}/{name}"
        for kind, name in then | now
        if then.get((kind, name)) != now.get((kind, name))
    ]


def digest(objects: Mapping[Key, Mapping[str, Any]]) -> str:
    """The digest of what objects are to be: not of who made them, when, and what came of it."""
    wanted = [_wanted(objects[key]) for key in sorted(objects)]
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()


def _wanted(thing: Mapping[str, Any]) -> dict[str, Any]:
    metadata = thing["metadata"]
    noted = metadata.get("annotations", {})
    return {
        **{name: value for name, value in thing.items() if name != "status"},
        "metadata": {
            "name": metadata["name"],
            "labels": metadata["labels"],
            "annotations": {name: noted[name] for name in noted if name not in NOTES},
        },
    }
