"""The runs on record, and the one that a user means."""

from __future__ import annotations

import re
from pathlib import Path

from rolecall.errors import ConfigError
from rolecall.output.runlog import PastRun, runs
from rolecall.report.model import Run
from rolecall.report.read import read_run
from rolecall.settings import nearest

#: What stands for the newest run.
LAST = "last"


def find_run(folder: Path, wanted: str) -> Path:
    """The log that ``wanted`` names.

    That is an id, a prefix that only one id has, ``last`` or nothing for the newest run, ``-2``
    for the one before it, or the path of a log.

    Raises:
        ConfigError: there is none, or more than one.
    """
    if wanted.endswith(".jsonl") or "/" in wanted:
        path = Path(wanted).expanduser()
        if not path.is_file():
            raise ConfigError(f"there is no log {path}", "./inv runs lists the runs on record")
        return path
    known = runs(folder)
    if not known:
        raise ConfigError(
            f"no run is on record in {folder}",
            "./inv deploy makes one; a path of a .jsonl file can be given as well",
        )
    if wanted in ("", LAST):
        return known[0].path
    if re.fullmatch(r"-[1-9]\d*", wanted):
        number = int(wanted[1:])
        if number > len(known):
            raise ConfigError(f"run {wanted}: only {len(known)} are on record", "see ./inv runs")
        return known[number - 1].path
    found = [run for run in known if run.run.startswith(wanted)]
    if len(found) == 1:
        return found[0].path
    if not found:
        raise ConfigError(
            f"no run {wanted} is on record", nearest(wanted, [run.run for run in known[:5]])
        )
    ids = ", ".join(run.run for run in found[:5])
    raise ConfigError(f"{len(found)} runs begin with {wanted}: {ids}", "write more of the id")


def comparable(folder: Path, run: Run) -> Run | None:
    """The newest earlier run that can be compared, and was finished.

    It has the same task and hosts, was a check or not, and had the same directory there.
    """
    for past in runs(folder):
        if past.started < run.started and _alike(past, run):
            earlier = read_run(past.path)
            if earlier.ended == "finished" and _homes(earlier) == _homes(run):
                return earlier
    return None


def _homes(run: Run) -> set[str]:
    """Rolecall's own directories on the hosts: another one is another deployment."""
    return {
        one.value
        for settings in run.settings
        if settings.role == "rolecall"
        for one in settings.values
        if one.name == "home"
    }


def _alike(past: PastRun, run: Run) -> bool:
    return (
        past.run != run.id
        and past.task == run.task
        and past.check == run.check
        and set(past.hosts) == set(run.parts)
    )
