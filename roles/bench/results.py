"""Results of load tests: kept on the controller, found again, written and read as JSON."""

from __future__ import annotations

import glob
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rolecall.errors import ConfigError
from roles.bench.statistics import Figures
from roles.bench.workload import Workload

#: How the JSON is laid out; raised when a reader of the old one would go wrong.
VERSION = 1

#: What the numbers mean, for whoever opens the file.
MEANING = {
    "requests_per_second": "answered requests divided by the seconds of the level",
    "tokens_per_second": "tokens of all answers divided by the seconds of the level",
    "first_token": "seconds from when a request was due to the first text of its answer",
    "between_tokens": "seconds from first text to end, divided by the tokens after the first",
    "gaps": "seconds from one piece of text to the next, which may hold several tokens",
    "whole": "seconds from when a request was due to the end of its answer",
    "late": "seconds that this client itself began a request later than due, at most",
    "engine": "requests active, waiting, and KV cache blocks: the most in four looks a second",
    "server.queue": "seconds a request waited in Triton, its own counter, per request",
    "server.compute": "seconds a model worked on a request, its own counter, per request",
}

#: The pattern of a run's id, as rolecall.run makes them.
_ANY_ID = "????????-??????-????"


@dataclass(frozen=True)
class Result:
    """One load test of one host.

    Attributes:
        unit: of lengths: ``tokens``, or ``words`` where no tokenizer was to be had.
        stopped: why not every level was gone through to its end; empty where all were.
    """

    id: str
    host: str
    workload: Workload
    unit: str
    about: dict[str, str]
    levels: tuple[Figures, ...] = ()
    stopped: str = ""
    settings: dict[str, dict[str, str]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "version": VERSION,
            "id": self.id,
            "host": self.host,
            "stopped": self.stopped,
            "unit": self.unit,
            "workload": self.workload.to_dict(),
            "levels": [level.to_dict() for level in self.levels],
            "about": self.about,
            "settings": self.settings,
            "meaning": MEANING,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Result:
        """The inverse of :meth:`to_dict`. Raises ``KeyError`` or ``TypeError`` on other data."""
        return cls(
            data["id"],
            data["host"],
            Workload.from_dict(data["workload"]),
            data["unit"],
            data["about"],
            tuple(Figures.from_dict(level) for level in data["levels"]),
            data["stopped"],
            data["settings"],
        )


def keep(folder: Path, result: Result) -> Path:
    """Write a result; returns its file, which only the user can read."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{result.id}-{result.host.replace('/', '_')}.json"
    text = json.dumps(result.to_dict(), indent=2) + "\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def find(folder: Path, named: str, host: str) -> Result:
    """The result that ``--against`` names: ``last``, an id or its beginning, or a file.

    Raises:
        ConfigError: there is none, or it cannot be read.
    """
    path = Path(named).expanduser()
    if not path.is_file():
        # Of a run's id every character is asked for: host "1" is not host "gpu-1".
        kept = sorted(folder.glob(f"{_ANY_ID}-{glob.escape(host.replace('/', '_'))}.json"))
        fitting = [one for one in kept if named == "last" or one.name.startswith(named)]
        if not fitting:
            ids = ", ".join(one.name[: len(_ANY_ID)] for one in kept[-3:]) or "none"
            raise ConfigError(
                f"--against {named}: {host} has no such load test on record",
                f"on record: {ids}; a file will do as well",
            )
        path = fitting[-1]
    try:
        return Result.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"--against {named}: {path} is no load test's result: {error}") from error
