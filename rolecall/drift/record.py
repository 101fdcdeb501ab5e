"""What the runs on record at this controller left behind, as far as a difference asks for it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rolecall.destroy import ROLE as DESTROY
from rolecall.output.runlog import PastRun, runs

#: A resource on a host.
Where = tuple[str, str]

#: The kinds of line that are read, as they begin.
_READ = tuple(f'{{"event": "{kind}"' for kind in ("applying", "resource", "settings"))


@dataclass(frozen=True)
class Run:
    """A run that has changed hosts, or found them as declared."""

    id: str
    task: str

    def __str__(self) -> str:
        return f"run {self.id} ({self.task})"


@dataclass
class Record:
    """What is known of the resources that were asked for, and of their hosts.

    Attributes:
        left: what a field may have been left as, and by which run: what it was last changed to;
            of a change that did not come to its end, what it was before, too.
        proven: the newest run that found or made a resource as declared.
        settings: by run and host, each role's settings as they were, secrets masked.
        roles: by host and role, the newest run that converged that role there.
        removed: the newest run that destroyed a resource, where none has made it again since.
    """

    left: dict[tuple[Where, str], tuple[tuple[str | None, ...], Run]] = field(default_factory=dict)
    proven: dict[Where, Run] = field(default_factory=dict)
    settings: dict[tuple[str, str], dict[str, dict[str, str]]] = field(default_factory=dict)
    roles: dict[tuple[str, str], Run] = field(default_factory=dict)
    removed: dict[Where, Run] = field(default_factory=dict)


def read_record(folder: Path, wanted: Collection[Where], homes: Mapping[str, str]) -> Record:
    """What the logs in ``folder`` tell of the resources ``wanted``.

    ``homes`` are the hosts, with Rolecall's own directory there as it is set now: a run with
    another one was about another deployment, and is passed over like runs in check mode, which
    have left nothing behind.
    """
    record = Record()
    for past in sorted(runs(folder), key=lambda past: past.started, reverse=True):
        hosts = set(past.hosts) & set(homes)
        if past.check or not hosts:
            continue
        run = Run(past.run, past.task)
        begun: dict[Where, list[Mapping[str, Any]]] = {}
        for event in _events(past):
            if event["event"] == "settings":
                values = {one["name"]: one["value"] for one in event["values"]}
                for host in hosts & set(event["hosts"]):
                    if event["role"] == "rolecall" and values.get("home") != homes[host]:
                        hosts.discard(host)
                    record.settings.setdefault((run.id, host), {})[event["role"]] = values
            elif event["host"] not in hosts:
                continue
            elif event["event"] == "applying":
                begun[event["host"], event["id"]] = event["changes"]
            elif event["outcome"] in ("ok", "changed"):
                begun.pop((event["host"], event["id"]), None)
                _resource(record, run, event, wanted)
        _unfinished(record, run, {where: begun[where] for where in set(begun) & set(wanted)})
    return record


def _resource(
    record: Record, run: Run, event: Mapping[str, Any], wanted: Collection[Where]
) -> None:
    """Note what a newer run has not said already."""
    if not event["role"]:
        return
    where = (event["host"], event["id"])
    if event["role"] == DESTROY:
        if where in wanted and where not in record.proven:
            record.removed.setdefault(where, run)
        return
    record.roles.setdefault((event["host"], event["role"]), run)
    if where in wanted:
        record.proven.setdefault(where, run)
        for change in event["changes"]:
            record.left.setdefault((where, change["field"]), ((change["after"],), run))


def _unfinished(
    record: Record, run: Run, begun: Mapping[Where, Sequence[Mapping[str, Any]]]
) -> None:
    """Note what a run may have changed or not: it failed or was stopped in the middle.

    Where a newer run has found the resource as declared, it was changed.
    """
    for where, changes in begun.items():
        for change in changes:
            before = () if where in record.proven else (change["before"],)
            left = (change["after"], *before)
            record.left.setdefault((where, change["field"]), (left, run))


def _events(past: PastRun) -> Iterator[dict[str, Any]]:
    """The events of a log that matter here; a line cut by a crash is passed over."""
    try:
        with past.path.open(encoding="ascii", errors="replace") as lines:
            for line in lines:
                if line.startswith(_READ):
                    try:
                        yield json.loads(line)
                    except ValueError:
                        continue
    except OSError:
        return
