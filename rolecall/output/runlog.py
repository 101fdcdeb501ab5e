"""The log of every run: one file of events each, and what can be read back from them."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from rolecall.events import Event, Progress, Recap
from rolecall.output.jsonl import PROGRESS_INTERVAL, as_line, stamped
from rolecall.output.meter import Throttle
from rolecall.resource import Change

# What rolecall.run.new_run_id makes; nothing else in the folder is ever read or removed.
_NAME = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}\.jsonl")


class RunLog:
    """Writes every event to ``FOLDER/RUN.jsonl``, for this user alone, line by line.

    The file is made with the first event. A log that cannot be written does not stop a run:
    it is said once, on standard error, when the run is over.

    Args:
        keep: how many logs stay in the folder, this one included; 0: all.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        folder: Path,
        run: str,
        keep: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = folder / f"{run}.jsonl"
        self._keep = keep
        self._clock = clock
        self._throttle = Throttle(PROGRESS_INTERVAL)
        self._file: TextIO | None = None
        self._trouble: OSError | None = None

    def handle(self, event: Event) -> None:
        """Append the event; of progress at most two a second."""
        if isinstance(event, Progress) and not self._throttle.passes(event, self._clock()):
            return
        self._append(stamped(event.to_dict()))

    def finish(self, recap: Recap) -> None:
        """Append the recap and close the file."""
        self._append(as_line(recap.to_dict()))
        if self._file:
            try:
                self._file.close()  # which writes once more what a full disk did not take
            except OSError as error:
                self._trouble = self._trouble or error
            self._file = None
        if self._trouble:
            print(f"warning: {self.path} is incomplete: {self._trouble.strerror}", file=sys.stderr)

    def _append(self, line: str) -> None:
        if self._trouble:
            return
        try:
            if self._file is None:
                self._file = self._open()
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            self._trouble = error

    def _open(self) -> TextIO:
        folder = self.path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in _files(folder)[self._keep - 1 :] if self._keep else ():
            old.unlink(missing_ok=True)
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return os.fdopen(handle, "w", encoding="ascii")


@dataclass(frozen=True)
class PastRun:
    """One run as its log tells it.

    Attributes:
        recap: the counts of each host; None when the run never got to its end.
        by: who ran it, as USER@MACHINE; empty in logs of earlier versions.
        ended: as in :class:`rolecall.events.RunDone`; ``unknown`` where the log has no end.
        seconds: how long it took, or has taken so far.
        reason: why it was stopped.
    """

    run: str
    task: str
    check: bool
    hosts: tuple[str, ...]
    started: datetime
    recap: dict[str, dict[str, int]] | None
    path: Path
    by: str = ""
    ended: str = "unknown"
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class LastChange:
    """The last time a run changed a resource: in which run, when, what, in how many seconds."""

    run: str
    task: str
    at: datetime
    changes: tuple[Change, ...]
    seconds: float


def runs(folder: Path) -> list[PastRun]:
    """The runs that are still on record, the newest first.

    Their names are local time, which an hour of every autumn has twice.
    """
    found = [run for path in _files(folder) if (run := _past_run(path))]
    return sorted(found, key=lambda run: run.started, reverse=True)


def last_change(folder: Path, host: str, resource_id: str) -> LastChange | None:
    """The newest change of a resource on a host, or None when no log has one.

    What check mode predicted does not count.
    """
    wanted = json.dumps(resource_id)
    for path in _files(folder):
        task, found = "", None
        for event in _events(path, ('"event": "run"', wanted)):
            if event["event"] == "run":
                task = event["task"]
            elif (event["event"], event.get("host"), event.get("id"), event.get("outcome")) == (
                "resource",
                host,
                resource_id,
                "changed",
            ):
                found = event
        if found:
            return LastChange(
                path.stem,
                task,
                datetime.fromisoformat(found["at"]),
                tuple(Change(**change) for change in found["changes"]),
                found["seconds"],
            )
    return None


def _files(folder: Path) -> list[Path]:
    """The logs, the newest first: their names sort by time."""
    try:
        return sorted((p for p in folder.iterdir() if _NAME.fullmatch(p.name)), reverse=True)
    except OSError:
        return []


def _past_run(path: Path) -> PastRun | None:
    """What a log tells; None where it is none, or damaged in a way that no crash leaves behind."""
    try:
        return _told_by(path)
    except (KeyError, TypeError, ValueError):
        return None


def _told_by(path: Path) -> PastRun | None:
    run: PastRun | None = None
    for event in _events(path, ('"event": "run"', '"event": "run_done"', '"event": "recap"')):
        if event["event"] == "run":
            run = PastRun(
                event["run"],
                event["task"],
                event["check"],
                tuple(event["hosts"]),
                datetime.fromisoformat(event["at"]),
                None,
                path,
                event.get("by", ""),
            )
        elif event["event"] == "run_done" and run:
            ended = {name: event[name] for name in ("ended", "seconds", "reason")}
            run = replace(run, **ended)
        elif event["event"] == "recap" and run:
            run = replace(run, recap=event["hosts"])
    return _with_length(run) if run else None


def _with_length(run: PastRun) -> PastRun:
    """A log without a run_done tells by its last event how long the run took."""
    if run.seconds:
        return run
    ended = "finished" if run.recap is not None else "unknown"
    last = run.started
    for event in _tail(run.path):
        with suppress(KeyError, ValueError):
            last = datetime.fromisoformat(event["at"])
    return replace(run, ended=ended, seconds=max(0.0, (last - run.started).total_seconds()))


#: Bytes at the end of a log in which its last events are looked for.
_END = 64 * 1024


def _tail(path: Path) -> Iterator[dict[str, Any]]:
    """The last events of a log."""
    with suppress(OSError), path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _END))
        for line in file.read().splitlines():
            with suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    yield event


def _events(path: Path, containing: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The events on lines that hold one of these texts; a line cut by a crash is passed over."""
    try:
        with path.open(encoding="ascii", errors="replace") as lines:
            for line in lines:
                if any(text in line for text in containing):
                    try:
                        event = json.loads(line)
                    except ValueError:
                        continue
                    if isinstance(event, dict) and "event" in event:
                        yield event
    except OSError:
        return
