"""Reading a run's log, whatever became of the run.

A log may end anywhere, since a controller can be killed; it may be of another version of
Rolecall, with events that are unknown here, or without events and fields that are known.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rolecall.errors import ConfigError
from rolecall.report.model import (
    Job,
    Part,
    Point,
    RoleSettings,
    Run,
    SettingLine,
    Span,
    SpanKind,
    Step,
)
from rolecall.resource import Change

#: Lines of one step's output that are kept: the first, and the last.
HEAD, TAIL = 20, 180

#: Seconds from which on a host has waited for its turn.
TURN = 0.1

#: Points of one step's progress that are kept.
POINTS = 200

_Data = Mapping[str, Any]


def read_run(path: Path) -> Run:
    """The run whose log this is.

    Raises:
        ConfigError: it cannot be read, or is not a log of a run.
    """
    reader = _Reader(path)
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                reader.line(line)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    return reader.run()


class _Reader:
    """Goes through a log event by event."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._run: Run | None = None
        self._steps: dict[tuple[str, str], Step] = {}
        self._open: dict[tuple[str, str], tuple[float, str]] = {}
        self._order: dict[int, int] = {}
        self._broken = 0
        self._now = 0.0
        self._handlers: dict[str, Callable[[Run, _Data], None]] = {
            "settings": self._settings,
            "wave": self._wave,
            "connecting": self._connecting,
            "exchange": self._exchange,
            "exchange_done": self._exchange_done,
            "facts": self._facts,
            "waiting": self._waiting,
            "wait_done": self._wait_done,
            "host": self._host,
            "applying": self._applying,
            "job": self._job,
            "output": self._output,
            "progress": self._progress,
            "diff": self._diff,
            "resource": self._resource,
            "host_done": self._host_done,
            "message": self._message,
            "remain": self._remain,
            "run_done": self._run_done,
            "recap": self._recap,
        }

    def line(self, line: str) -> None:
        """Take one line; what is not an event is counted, what is not known passed over."""
        try:
            data = json.loads(line)
            kind = data["event"]
            if kind == "run":
                self._begin(data)
            elif self._run and (handler := self._handlers.get(kind)):
                self._time(data)
                handler(self._run, data)
        except (ValueError, TypeError, KeyError, AttributeError, IndexError):
            self._broken += bool(line.strip())

    def run(self) -> Run:
        """What there is, with whatever was under way closed where the log ends.

        Raises:
            ConfigError: no run begins in it.
        """
        if self._run is None:
            raise ConfigError(
                f"{self._path} is not the log of a run",
                "./inv runs lists those on record; --json of a task writes such a log",
            )
        run = self._run
        run.broken = self._broken
        run.seconds = run.seconds or self._now
        for (host, what), (began, label) in self._open.items():
            self._span(run, host, what, began, self._now, label)
        for part in run.parts.values():
            part.spans.sort(key=lambda span: span.begin)
            part.steps = [step for step in part.steps if _begun(step)]
            part.steps.sort(key=lambda step: self._order.get(id(step), len(self._order)))
            if part.over is None and part.turn is not None:
                part.seconds = self._now - part.turn
        return run

    # The run

    def _begin(self, data: _Data) -> None:
        self._run = Run(
            str(data["run"]),
            self._path,
            str(data["task"]),
            bool(data["check"]),
            _time(data["at"]),
            str(data.get("by", "")),
            str(data.get("version", "")),
            str(data.get("command", "")),
        )
        for host in data["hosts"]:
            self._run.parts[str(host)] = Part(str(host))

    def _time(self, data: _Data) -> None:
        if self._run and "at" in data:
            self._now = max(0.0, (_time(data["at"]) - self._run.started).total_seconds())

    def _settings(self, run: Run, data: _Data) -> None:
        values = tuple(
            SettingLine(str(one["name"]), str(one["value"]), str(one["source"]))
            for one in data["values"]
        )
        run.settings.append(RoleSettings(str(data["role"]), tuple(data["hosts"]), values))

    def _wave(self, run: Run, data: _Data) -> None:
        run.waves.append(tuple(data["hosts"]))

    def _message(self, run: Run, data: _Data) -> None:
        said = run.parts[data["host"]].said if data["host"] in run.parts else run.said
        said.append((str(data["text"]), str(data.get("style", "info"))))

    def _remain(self, run: Run, data: _Data) -> None:
        run.next = str(data["next"])

    def _run_done(self, run: Run, data: _Data) -> None:
        run.ended = data["ended"]
        run.seconds = float(data["seconds"])
        run.reason, run.hint = str(data["reason"]), str(data["hint"])

    def _recap(self, run: Run, data: _Data) -> None:
        if run.ended == "unknown":  # a log of before there was a run_done
            cut = any(part.turn is not None and part.over is None for part in run.parts.values())
            run.ended = "interrupted" if cut else "finished"

    # A host

    def _part(self, run: Run, data: _Data) -> Part:
        host = str(data["host"])
        return run.parts.setdefault(host, Part(host))

    def _connecting(self, run: Run, data: _Data) -> None:
        part = self._part(run, data)
        part.turn = self._now
        if self._now >= TURN:
            part.spans.append(Span("turn", 0.0, self._now, "its turn", _turn(run, part.host)))
        self._open[part.host, "connect"] = (self._now, "connecting")

    def _exchange(self, run: Run, data: _Data) -> None:
        self._end(run, data["host"], "connect")
        self._open[data["host"], f"exchange {data['number']}"] = (self._now, str(data["what"]))

    def _exchange_done(self, run: Run, data: _Data) -> None:
        self._end(run, data["host"], f"exchange {data['number']}")

    def _facts(self, run: Run, data: _Data) -> None:
        self._part(run, data).facts = dict(data["facts"])

    def _waiting(self, run: Run, data: _Data) -> None:
        self._open[data["host"], f"wait {data['what']}"] = (self._now, str(data["reason"]))

    def _wait_done(self, run: Run, data: _Data) -> None:
        self._end(run, data["host"], f"wait {data['what']}")

    def _end(self, run: Run, host: str, what: str) -> None:
        if opened := self._open.pop((host, what), None):
            self._span(run, host, what, opened[0], self._now, opened[1])

    def _span(self, run: Run, host: str, what: str, begin: float, end: float, label: str) -> None:
        if host not in run.parts:
            return
        kind, _, name = what.partition(" ")
        kinds: dict[str, SpanKind] = {"connect": "connect", "exchange": "exchange", "wait": "wait"}
        note = label if kind == "wait" else ""
        label = name if kind == "wait" else label
        run.parts[host].spans.append(Span(kinds[kind], begin, end, label, note))

    def _host(self, run: Run, data: _Data) -> None:
        self._end(run, data["host"], "connect")
        self._part(run, data).answered = self._now

    def _host_done(self, run: Run, data: _Data) -> None:
        part = self._part(run, data)
        for host, what in [key for key in self._open if key[0] == part.host]:
            self._end(run, host, what)
        part.over = self._now
        part.exchanges, part.seconds = int(data["exchanges"]), float(data["seconds"])
        part.error, part.hint = str(data["error"]), str(data["hint"])

    # A resource

    def _step(self, run: Run, data: _Data) -> Step:
        part = self._part(run, data)
        key = (part.host, str(data["id"]))
        if key not in self._steps:
            self._steps[key] = Step(str(data.get("role", "")), key[1])
            part.steps.append(self._steps[key])
        return self._steps[key]

    def _applying(self, run: Run, data: _Data) -> None:
        step = self._step(run, data)
        step.role = str(data["role"])
        step.changes = _changes(data)
        step.began = self._now if step.began is None else step.began

    def _job(self, run: Run, data: _Data) -> None:
        self._step(run, data).job = Job(str(data["job"]), bool(data["attached"]))

    def _output(self, run: Run, data: _Data) -> None:
        step = self._step(run, data)
        step.lines += 1
        step.output.append(str(data["line"]))
        if len(step.output) > HEAD + 2 * TAIL:
            del step.output[HEAD:-TAIL]

    def _progress(self, run: Run, data: _Data) -> None:
        points = self._step(run, data).progress
        done, total = (float(data[name] or 0) for name in ("done", "total"))
        points.append(Point(self._now, str(data["label"]), done, total, str(data["unit"])))
        if len(points) > POINTS:
            del points[1:-1:2]

    def _diff(self, run: Run, data: _Data) -> None:
        lines = [str(line) for line in data["lines"]]
        self._step(run, data).diffs.append((str(data["path"]), lines))

    def _resource(self, run: Run, data: _Data) -> None:
        step = self._step(run, data)
        if step.ended is not None and step.role == str(data["role"]):
            key = (str(data["host"]), step.id)  # said again, such as two answers of a host
            del self._steps[key]
            step = self._step(run, data)
        step.role = str(data["role"])
        step.outcome = str(data["outcome"])
        step.changes = _changes(data) or step.changes
        step.reason, step.hint = str(data["reason"]), str(data["hint"])
        step.seconds, step.ended = float(data["seconds"]), self._now
        self._order[id(step)] = len(self._order)
        if len(step.output) > HEAD + TAIL:
            del step.output[HEAD:-TAIL]


def _begun(step: Step) -> bool:
    """Whether anything is known of it but how it would differ."""
    return step.began is not None or step.ended is not None


def _changes(data: _Data) -> tuple[Change, ...]:
    return tuple(
        Change(str(one["field"]), _text(one["before"]), _text(one["after"]))
        for one in data["changes"]
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)


def _turn(run: Run, host: str) -> str:
    """Why a host had to wait for its turn."""
    number = next((n for n, wave in enumerate(run.waves, 1) if host in wave), 0)
    if number > 1:
        return f"its wave was number {number}"
    return "as many hosts as --forks says were before it"
