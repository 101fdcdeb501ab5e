"""Logs of runs, written event by event."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path

from rolecall.events import (
    Applying,
    Connecting,
    Event,
    ExchangeDone,
    ExchangeStarted,
    FactsKnown,
    HostDone,
    HostStarted,
    Output,
    ResourceDone,
    RunDone,
    RunStarted,
)
from rolecall.resource import Change

BEGAN = datetime(2026, 11, 22, 12, 0, 0, tzinfo=timezone.utc)
MODE = Change("mode", "644", "600")


def run_id(number: int = 1) -> str:
    return f"20261122-1200{number:02d}-abcd"


def started(
    *hosts: str, number: int = 1, task: str = "deploy", check: bool = False, command: str = ""
) -> RunStarted:
    return RunStarted("", run_id(number), task, check, hosts, "ada@laptop", "0.1.0", command)


def done(
    host: str,
    id_: str,
    outcome: str = "ok",
    seconds: float = 0.0,
    role: str = "system",
    **more: str,
) -> ResourceDone:
    changes = (MODE,) if outcome in ("changed", "would change", "failed") else ()
    return ResourceDone(host, role, id_, outcome, changes, seconds=seconds, **more)  # type: ignore[arg-type]


def over(host: str, seconds: float = 1.0) -> HostDone:
    return HostDone(host, 1, seconds)


def opened(host: str, resources: int = 1) -> list[Event]:
    return [
        Connecting(host),
        ExchangeStarted(host, 1, "open"),
        ExchangeDone(host, 1, 0.1),
        FactsKnown(host, {"arch": "x86_64", "cpus": 2, "sudo": True}),
        HostStarted(host, resources),
    ]


def finished(seconds: float = 1.0) -> RunDone:
    return RunDone("", "finished", seconds)


def write(
    path: Path, events: Iterable[Event | float], *, recap: bool = True, hosts: Iterable[str] = ()
) -> Path:
    """Write events to a log; a number lets so many seconds pass."""
    at = BEGAN
    lines: list[str] = []
    for event in events:
        if isinstance(event, (int, float)):
            at += timedelta(seconds=event)
            continue
        data = event.to_dict()
        stamped = {"event": data["event"], "at": at.isoformat(timespec="milliseconds"), **data}
        lines.append(json.dumps(stamped))
    if recap:
        counts = {"ok": 1, "changed": 0, "skipped": 0, "failed": 0, "unreachable": 0}
        lines.append(json.dumps({"event": "recap", "hosts": dict.fromkeys(hosts, counts)}))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def fleet(hosts: int, resources: int, bad: int = 3) -> list[Event | float]:
    """A run on many hosts: a few fail, a tenth changes, the others are as they should be."""
    names = [f"gpu-{number:03d}" for number in range(1, hosts + 1)]
    events: list[Event | float] = [started(*names)]
    for number, name in enumerate(names):
        events += opened(name, resources)
        for index in range(resources):
            id_ = f"file:/srv/app/releases/current/config/part-{index:03d}.yaml"
            changes = number % 10 == 1 and index % 20 == 0
            fails = number % (hosts // bad) == 2 and index == resources // 2
            if changes or fails:
                events.append(Applying(name, "system", id_, (MODE,)))
                events.append(Output(name, id_, "writing"))
            if fails:
                why = {"reason": "no space left on device", "hint": "free some space"}
                events.append(done(name, id_, "failed", **why))
            else:
                events.append(done(name, id_, "changed" if changes else "ok"))
        events += [0.05, over(name)]
    return [*events, finished(10.0)]
