"""Following a job to its end, with what its containers print."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from rolecall.cluster.diagnosis.trouble import Patience, Trouble
from rolecall.cluster.jobs import JobState, RunOf, job_questions, job_state
from rolecall.cluster.objects import Object, Ref, Selection
from rolecall.cluster.target import ClusterTarget
from rolecall.cluster.waiting import TAIL, Watch, last_lines
from rolecall.errors import RolecallError

#: Lines shown of a job that was already running when it began to be followed.
CATCH_UP = 10

#: Seconds given to the rest of a log once its job has ended.
REST = 5.0


def follow_job(
    target: ClusterTarget,
    job: Ref,
    *,
    timeout: float = 6 * 3600.0,
    patience: float = 120.0,
) -> None:
    """Wait for a job to succeed, and say what its containers print.

    Lines of progress go out as they come. A job that was running before is followed from where
    it is.

    Args:
        target: the cluster; everything is said through it.
        job: the job.
        timeout: seconds after which it has taken too long.
        patience: seconds that a trouble which may heal by itself is given.

    Raises:
        RolecallError: it has failed, waiting for it is pointless, it took too long, or the run
            was interrupted. The job itself goes on.
        UnreachableError: the API server has been away for a minute.
    """
    claim_names = _claims(target, job)
    questions = job_questions(job, claim_names)
    watch = Watch(target, questions, Selection("v1", "Event", job.namespace))
    troubles = Patience(patience)
    logs = Logs(target)
    began = time.monotonic()
    while True:
        state = job_state(questions, watch.look(), watch.reported)
        logs.follow(state.logs)
        watch.say(state.lines)
        if state.lines and not state.logs:  # later on, its own log tells
            target.tell(state.lines[-1], 0, 0)
        logs.say()
        if state.done:
            logs.finish()
            return
        now = time.monotonic()
        if verdict := troubles.verdict(state.troubles, now):
            logs.finish()
            raise _failed(target, job, verdict, logs.last)
        if now - began >= timeout:
            raise _too_long(job, state, timeout, logs.last)
        logs.wait(watch, f"{job} goes on; the same command follows it again")


def _claims(target: ClusterTarget, job: Ref) -> list[str]:
    found = target.api.read([job])[0]
    if found is None or isinstance(found, tuple):
        return []
    volumes = found["spec"]["template"]["spec"].get("volumes") or ()
    named: list[Object] = [volume.get("persistentVolumeClaim") or {} for volume in volumes]
    return [str(one["claimName"]) for one in named if one]


@dataclass
class Logs:
    """The logs of a job's containers, each followed in a thread, said in this one.

    Attributes:
        last: the last lines that were said.
    """

    target: ClusterTarget
    last: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL))
    _lines: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    _threads: dict[RunOf, threading.Thread] = field(default_factory=dict)
    _got: dict[RunOf, deque[str]] = field(default_factory=dict)
    _complaints: set[str] = field(default_factory=set)
    _looked: bool = False

    def follow(self, runs: Sequence[RunOf]) -> None:
        """Follow every run of a container that has begun, and again whose log broke off."""
        for run in runs:
            key = RunOf(run.pod, run.container, run.number, True)
            thread = self._threads.get(key)
            if thread is not None and (thread.is_alive() or not run.running):
                continue
            if not self._looked and not run.running and run != runs[-1]:
                self._threads[key] = threading.Thread()  # it ended before anyone looked
                continue
            again = thread is not None or not self._looked
            self._threads[key] = threading.Thread(target=self._read, args=(key, again), daemon=True)
            self._threads[key].start()
        self._looked = True

    def say(self) -> None:
        """Say what has come."""
        with suppress(queue.Empty):
            while True:
                self._say(self._lines.get_nowait())

    def wait(self, watch: Watch, goes_on: str) -> None:
        """Until the next look, saying what comes. Raises ``RolecallError`` if interrupted."""
        until = time.monotonic() + watch.every
        while (left := until - time.monotonic()) > 0:
            if self.target.interrupted:
                raise RolecallError("interrupted", goes_on)
            with suppress(queue.Empty):
                self._say(self._lines.get(timeout=min(left, 0.1)))

    def finish(self) -> None:
        """Say the rest."""
        until = time.monotonic() + REST
        for thread in self._threads.values():
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))
        self.say()

    def _say(self, line: str) -> None:
        self.last.append(line)
        self.target.say(line)

    def _read(self, run: RunOf, again: bool) -> None:
        """Pass a log on; what ends it early is taken up at the next look."""
        seen = self._got.setdefault(run, deque(maxlen=CATCH_UP))
        try:
            for line in self._from(run, seen, again=again):
                seen.append(line)
                self._lines.put(line)
        except RolecallError as error:
            if error.message not in self._complaints:
                self._complaints.add(error.message)
                self._lines.put(f"the log of pod {run.pod} cannot be read: {error.message}")

    def _from(self, run: RunOf, seen: deque[str], *, again: bool) -> Iterator[str]:
        """The lines of a run: all, or those after the last one seen, or the last few."""
        api, namespace = self.target.api, self.target.namespace
        if not again:
            yield from api.logs(namespace, run.pod, run.container, follow=True)
            return
        if seen:
            known = list(seen)
            lines = list(api.logs(namespace, run.pod, run.container))
            yield from after(known, lines)
            yield from api.logs(namespace, run.pod, run.container, follow=True, tail=0)
            return
        yield from api.logs(namespace, run.pod, run.container, follow=True, tail=CATCH_UP)


def after(known: Sequence[str], lines: Sequence[str]) -> Sequence[str]:
    """The lines after the last place where ``known`` stands in them; all where it does not."""
    size = len(known)
    for end in range(len(lines), size - 1, -1):
        if list(lines[end - size : end]) == list(known):
            return lines[end:]
    return lines


def _failed(
    target: ClusterTarget, job: Ref, trouble: Trouble, said: Sequence[str]
) -> RolecallError:
    """A failed job, with the last lines that it printed: said already, or read now."""
    lines = last_lines(target, trouble.logs_of) or [
        f"the last lines of {job}:",
        *(f"  {line}" for line in said),
    ]
    shown = lines if len(lines) > 1 else []
    return RolecallError("\n".join([f"{job} failed: {trouble.what}", *shown]), trouble.hint)


def _too_long(job: Ref, state: JobState, timeout: float, said: Sequence[str]) -> RolecallError:
    lines = [f"{job} has not ended after {timeout:.0f} s", *(f"  {one}" for one in state.lines)]
    if said:
        lines += [f"the last lines of {job}:", *(f"  {line}" for line in said)]
    return RolecallError("\n".join(lines), "it goes on; the same command follows it again")
