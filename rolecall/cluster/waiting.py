"""Waiting for a workload, and saying meanwhile what changes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from rolecall.cluster.diagnosis.trouble import LogsOf, Patience, Trouble
from rolecall.cluster.errors import Busy
from rolecall.cluster.objects import Found, Object, Question, Ref, Selection
from rolecall.cluster.rollout import Rollout, RolloutState
from rolecall.cluster.target import ClusterTarget
from rolecall.errors import RolecallError, UnreachableError

#: Seconds between two looks, and between two at the events, which may be many.
LOOK, EVENTS = 1.0, 4.0

#: Seconds for which the API server may be away while something is waited for.
AWAY = 60.0

#: A line that comes and goes is said again after so many seconds.
AGAIN = 30.0

#: Last lines of a container that are shown.
TAIL = 20


def wait(
    target: ClusterTarget, rollout: Rollout, *, timeout: float = 1800.0, patience: float = 120.0
) -> None:
    """Wait until a workload is as its manifest says.

    Args:
        target: the cluster; what changes is said through it.
        rollout: what is waited for.
        timeout: seconds after which it has taken too long.
        patience: seconds that a trouble which may heal by itself is given.

    Raises:
        RolecallError: waiting longer is pointless, it took too long, or the run was interrupted.
            The rollout itself goes on.
        UnreachableError: the API server has been away for a minute.
        Busy: it could not say for as long.
    """
    watch = Watch(target, rollout.questions, rollout.events)
    troubles = Patience(patience)
    began = time.monotonic()
    while True:
        found = watch.look()
        state = rollout.state(found, watch.reported)
        watch.tell(rollout.ref, state)
        if state.ready:
            return
        now = time.monotonic()
        if verdict := troubles.verdict(state.troubles, now):
            raise will_not(target, f"{rollout.ref} does not become ready", verdict)
        if now - began >= timeout:
            raise too_long(target, rollout.ref, state, timeout)
        watch.pause(f"{rollout.ref} goes on; the same command waits for it again")


@dataclass
class Watch:
    """Looks at a cluster again and again, and says what has changed.

    Attributes:
        reported: the events, as of a few seconds ago.
        every: seconds between two looks.
    """

    target: ClusterTarget
    questions: Sequence[Question]
    events: Selection
    reported: tuple[Object, ...] = ()
    every: float = LOOK
    _asked: float = float("-inf")
    _away: float = 0.0
    _present: frozenset[str] = frozenset()
    _said: dict[str, float] = field(default_factory=dict)
    _told: tuple[str, int, int] = ("", -1, -1)
    _shown: tuple[str, str, int, int] = ("", "", -1, -1)

    def look(self) -> list[Found]:
        """The answers to the questions.

        Raises:
            UnreachableError, Busy: the API server has been away for too long.
        """
        while (found := self._try()) is None:
            self.pause()
        return found

    def _try(self) -> list[Found] | None:
        """The answers; None while the API server is away."""
        try:
            found = self._look()
        except (UnreachableError, Busy) as error:
            now = time.monotonic()
            if not self._away:
                self._away = now
                self.target.say(f"waiting for the cluster's API: {error.message}")
            if now - self._away >= AWAY:
                raise
            return None
        self._away = 0.0
        return found

    def _look(self) -> list[Found]:
        now = time.monotonic()
        with_events = now - self._asked >= EVENTS
        questions = [*self.questions, self.events] if with_events else list(self.questions)
        found = list(self.target.api.read(questions))
        if with_events:
            events = found.pop()
            self.reported = events if isinstance(events, tuple) else ()
            self._asked = now
        return found

    def tell(self, ref: Ref, state: RolloutState) -> None:
        """Say what is new: how far it is, and every line that was not there a moment ago."""
        told = (state.summary, state.done, state.total)
        if told != self._told:
            self.target.say(f"{ref}: {state.summary}")
            self._told = told
        doing = state.lines[-1] if state.lines else "replicas ready"
        if (doing, *told) != self._shown:
            self.target.tell(doing, state.done, state.total)
            self._shown = (doing, *told)
        self.say(state.lines)

    def say(self, lines: Iterable[str]) -> None:
        """Say every line that was not there at the last look."""
        now = time.monotonic()
        present = frozenset(lines)
        for line in lines:
            if line not in self._present and now - self._said.get(line, float("-inf")) >= AGAIN:
                self.target.say(line)
                self._said[line] = now
        self._present = present

    def pause(self, goes_on: str = "") -> None:
        """Until the next look. Raises ``RolecallError`` once the run is interrupted."""
        if self.target.stop.wait(self.every):
            raise RolecallError("interrupted", goes_on)


def will_not(target: ClusterTarget, said: str, trouble: Trouble) -> RolecallError:
    """The error of something that will not come, with the last lines of who knows why."""
    text = "\n".join([f"{said}: {trouble.what}", *last_lines(target, trouble.logs_of)])
    return RolecallError(text, trouble.hint)


def too_long(target: ClusterTarget, ref: Ref, state: RolloutState, timeout: float) -> RolecallError:
    """The error of something that took too long: where it is, and what it was doing."""
    logs_of = next((one.logs_of for one in state.troubles if one.logs_of), None) or state.unready
    hint = next((one.hint for one in state.troubles if one.hint), "")
    wrong = [one.what for one in state.troubles if one.hope != "full"]
    doing = [one for one in wrong if not any(one in line for line in state.lines)]
    lines = [
        f"{ref} is not ready after {timeout:.0f} s: {state.summary}",
        *(f"  {line}" for line in (*doing, *state.lines)),
        *last_lines(target, logs_of),
    ]
    return RolecallError("\n".join(lines), hint or "it goes on; the same command waits again")


def last_lines(target: ClusterTarget, logs_of: LogsOf | None) -> list[str]:
    """The last lines of a container under a heading; none where they cannot be had."""
    if logs_of is None:
        return []
    lines: list[str] = []
    with suppress(RolecallError):
        lines = list(
            target.api.logs(
                target.namespace,
                logs_of.pod,
                logs_of.container,
                tail=TAIL,
                previous=logs_of.previous,
            )
        )
    if not lines:
        return []
    return [
        f"the last lines of container {logs_of.container} in pod {logs_of.pod}:",
        *(f"  {line}" for line in lines),
    ]
