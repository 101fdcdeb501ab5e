"""Converge resources on one host: settle what is satisfied, apply the rest guarded, prove it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rolecall.errors import RolecallError, UnreachableError
from rolecall.events import (
    Applying,
    Event,
    JobFollowed,
    Outcome,
    Output,
    Progress,
    ResourceDone,
)
from rolecall.lock import LOCK_POLL, locked_error
from rolecall.loop.answers import Answers, Part, parts
from rolecall.loop.plan import Step, mask, probe_trouble
from rolecall.loop.scripts import Batch, Dialect, Numbered, apply_batch, definitions, probe_batch
from rolecall.progress import parse_progress
from rolecall.resource import Call, Change, Observed, Refuse, diff, overlap
from rolecall.session import Frame, Session
from rolecall.waits import Wait

Emit = Callable[[Event], None]

#: Lines of an apply's output that are kept to explain a failure.
TAIL = 20

#: Stands for the output of a secret resource.
HIDDEN_OUTPUT = "its output is not shown: the resource is secret"

#: How often one resource's answer may move under the run before the loop gives up on it.
MOVES = 5


def probe(session: Session, steps: Sequence[Step], dialect: Dialect) -> dict[int, Observed]:
    """Ask every probe in one exchange."""
    numbered = [Numbered(step.number, step.resource) for step in steps]
    session.tell(definitions(item.resource for item in numbered))
    script, groups = probe_batch(numbered, dialect)
    answers = Answers(groups)
    for part in parts(session.exchange(script, "probe")):
        answers.feed(part)
    return answers.complete([step.number for step in steps])


@dataclass(frozen=True)
class Closing:
    """What the last exchange of a run asks besides, if the run changed what it ``reads``.

    ``heard`` gets what the host said, by frame; not when the run failed.
    """

    script: str
    reads: frozenset[str]
    heard: Callable[[Mapping[str, str]], None]


@dataclass
class _Stop:
    """Why a batch stopped before its end: answers moved, Python's turn, or another run."""

    fresh: Answers | None = None
    closing: dict[str, str] = field(default_factory=dict)
    called: Step | None = None
    locked_by: str = ""


class Convergence:
    """One host's run: which steps are settled and what the others last answered."""

    def __init__(
        self,
        session: Session,
        steps: Sequence[Step],
        answers: dict[int, Observed],
        dialect: Dialect,
        emit: Emit,
        lock_deadline: float = 0.0,
        closing: Closing | None = None,
    ) -> None:
        self._session = session
        self._steps = {step.number: step for step in steps}
        self._pending = list(steps)
        self._answers = answers
        self._dialect = dialect
        self._emit = emit
        self._lock_deadline = lock_deadline
        self._closing = closing
        self._touched = False
        self._called: dict[int, int] = {}
        self._host = session.target.name
        self._stopped_by = ""
        self._moves: dict[int, int] = {}
        self._tail: list[str] = []
        self._since = time.monotonic()
        self._applying: Step | None = None
        self._lock = Wait(emit, self._host, "lock")

    def run(self) -> None:
        """Converge every step in order, and stop at the first that fails.

        Raises:
            LockedError: another run holds the host's lock.
            UnreachableError: the host's shell ended; the step that was being applied is named.
        """
        with self._lock:
            try:
                self._converge()
            except UnreachableError as error:
                if self._applying is None:
                    raise
                during = f"{error.message}, while it applied {self._applying.resource.id}"
                raise UnreachableError(during, error.hint) from error
        for step in self._pending:
            self._done(step, "skipped", reason=f"after {self._stopped_by}")

    def _converge(self) -> None:
        proving: Step | None = None
        while not self._stopped_by:
            if proving is None:
                self._settle_leading()
                if self._stopped_by or not self._pending:
                    break
            proving = self._exchange(proving)
            if proving is None and not self._pending:
                break

    def _settle_leading(self) -> None:
        """Settle the steps in front whose answers still hold and that need nothing."""
        while self._pending:
            step = self._pending[0]
            observed = self._answers[step.number]
            if trouble := probe_trouble(step.resource, observed):
                self._fail(step, trouble.reason, trouble.hint)
                return
            if diff(step.resource.desired(), observed):
                apply = step.resource.apply(observed)
                if isinstance(apply, Refuse):
                    self._fail(step, apply.reason, apply.hint)
                return
            self._settle(step, "ok")

    def _exchange(self, proving: Step | None) -> Step | None:
        """One round trip. Returns the step that the controller has just applied itself."""
        numbered = [Numbered(step.number, step.resource) for step in self._pending]
        proven = numbered.pop(0) if proving else None
        batch = apply_batch(
            numbered,
            self._answers,
            self._dialect,
            proven,
            self._attempts_left(proving) if proving else 0,
            self._close(),
        )
        stop = _Stop()
        self._since = time.monotonic()
        self._tail = []
        self._applying = None
        for part in parts(self._session.exchange(batch.text, "apply"), self._live):
            if stop.fresh:
                stop.fresh.feed(part)
            elif part.frame.kind == "locked":
                stop.locked_by = part.text
            elif part.frame.kind == "refused" and not stop.locked_by:
                raise _refused(self._dialect, part.lines or self._tail)
            elif part.frame.kind in {"moved", "same", "after", "ready"}:
                self._hear(part, batch, stop)
            elif part.frame.args == ():
                stop.closing[part.frame.kind] = part.text
        if stop.locked_by:
            self._wait_for_lock(stop.locked_by)
            return proving
        if stop.fresh:
            pending = [step.number for step in self._pending]
            self._answers.update(stop.fresh.complete(pending))
        elif self._closing and self._touched and not (self._pending or self._stopped_by):
            self._closing.heard(stop.closing)
        return self._call(stop.called) if stop.called else None

    def _close(self) -> str:
        """The closing script, if a change that this run makes may have altered what it reads."""
        if self._closing is None:
            return ""
        self._touched = self._touched or any(
            overlap(self._closing.reads, step.resource.writes())
            for step in self._pending
            if diff(step.resource.desired(), self._answers[step.number])
        )
        return self._closing.script if self._touched else ""

    def _hear(self, part: Part, batch: Batch, stop: _Stop) -> None:
        """Take what the host says of one step."""
        step = self._steps[int(part.frame.args[0])]
        if part.frame.kind == "moved":
            stop.fresh = Answers(batch.groups)
            self._note_move(step)
        elif part.frame.kind == "same":
            self._same(step)
        elif part.frame.kind == "after":
            self._after(step, *map(int, part.frame.args[1:]), answer=part.text)
            if step in self._pending and step.number in self._called:
                stop.called = step
        else:
            stop.called = step

    def _wait_for_lock(self, held: str) -> None:
        error = locked_error(self._host, held)
        if time.monotonic() >= self._lock_deadline:
            raise error
        self._lock.begin(error.message)
        time.sleep(LOCK_POLL)

    def _live(self, frame: Frame, line: str | None) -> None:
        """Show an apply's output as it comes."""
        if line is None:
            if frame.kind != "locked":
                self._lock.end()
            self._begin_frame(frame)
        elif self._applying:
            self._hear_line(self._applying, line)
        elif frame.kind != "after":
            self._tail.append(line)

    def _begin_frame(self, frame: Frame) -> None:
        """Note whose output comes next: a job is followed within the apply of its resource."""
        if frame.kind == "apply":
            self._applying = self._steps[int(frame.args[0])]
            self._announce(self._applying)
        elif frame.kind == "job" and self._applying:
            job, how = frame.args
            id_ = self._applying.resource.id
            self._emit(JobFollowed(self._host, id_, job, how == "attached"))
        else:
            self._applying = None

    def _hear_line(self, step: Step, line: str) -> None:
        if progress := parse_progress(line):
            self._emit(
                Progress(
                    self._host,
                    step.resource.id,
                    progress.label,
                    progress.done,
                    progress.total,
                    progress.unit,
                )
            )
        elif step.resource.secret:
            self._tail = [HIDDEN_OUTPUT]
        else:
            self._tail = [*self._tail[-TAIL:], line]
            self._emit(Output(self._host, step.resource.id, line))

    def _announce(self, step: Step) -> None:
        self._tail = []
        self._since = time.monotonic()
        self._emit(Applying(self._host, step.role, step.resource.id, self._changes(step)))

    def _changes(self, step: Step) -> tuple[Change, ...]:
        changes = diff(step.resource.desired(), self._answers[step.number])
        return mask(changes) if step.resource.secret else changes

    def _same(self, step: Step) -> None:
        observed = self._answers[step.number]
        if trouble := probe_trouble(step.resource, observed):
            self._fail(step, trouble.reason, trouble.hint)
        elif diff(step.resource.desired(), observed):
            apply = step.resource.apply(observed)
            assert isinstance(apply, Refuse)
            self._fail(step, apply.reason, apply.hint)
        else:
            self._settle(step, "ok")

    def _after(self, step: Step, status: int, retries_left: int, *, answer: str) -> None:
        """Judge a change by what the resource's own probe says now."""
        observed = Observed.parse(answer)
        remaining = diff(step.resource.desired(), observed)
        if status == 0 and not remaining:
            self._settle(step, "changed", self._changes(step))
        elif retries_left == 0:
            reason = _why_failed(status, remaining, observed, secret=step.resource.secret)
            self._fail(step, "\n".join([reason, *self._tail[-TAIL:]]))

    def _note_move(self, step: Step) -> None:
        self._moves[step.number] = self._moves.get(step.number, 0) + 1
        if self._moves[step.number] > MOVES:
            self._fail(
                step,
                "its probe answers differently every time it is asked",
                "something else changes it during the run, or the probe is not deterministic",
            )

    def _call(self, step: Step) -> Step | None:
        """Apply in Python, as often as the resource says; the next exchange proves it.

        Raises:
            UnreachableError: the host is lost, and no attempt can change that.
        """
        apply = step.resource.apply(self._answers[step.number])
        assert isinstance(apply, Call)
        self._announce(step)
        while True:
            before = self._called.get(step.number, 0)
            if before:
                time.sleep(step.resource.retry_delay)
            self._called[step.number] = before + 1
            try:
                apply.run(self._session.target)
            except UnreachableError:
                raise
            except RolecallError as error:
                if self._attempts_left(step) == 0:
                    self._fail(step, error.message, error.hint)
                    return None
                self._emit(Output(self._host, step.resource.id, error.message))
            else:
                return step

    def _attempts_left(self, step: Step) -> int:
        """How often a step that the controller itself makes may be tried again."""
        return max(0, step.resource.retries + 1 - self._called.get(step.number, 0))

    def _settle(self, step: Step, outcome: Outcome, changes: tuple[Change, ...] = ()) -> None:
        self._pending.remove(step)
        self._done(step, outcome, changes)

    def _fail(self, step: Step, reason: str, hint: str = "") -> None:
        if not self._stopped_by:
            self._stopped_by = step.resource.id
            self._pending.remove(step)
            self._done(step, "failed", self._changes(step), reason=reason, hint=hint)

    def _done(
        self,
        step: Step,
        outcome: Outcome,
        changes: tuple[Change, ...] = (),
        reason: str = "",
        hint: str = "",
    ) -> None:
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        self._emit(
            ResourceDone(
                self._host, step.role, step.resource.id, outcome, changes, reason, hint, seconds
            )
        )


def _why_failed(
    status: int, remaining: Sequence[Change], observed: Observed, *, secret: bool
) -> str:
    if status != 0:
        return f"its apply ended with status {status}"
    shown = mask(remaining) if secret else remaining
    differences = ", ".join(
        f"{change.field} is {change.before!r}, not {change.after!r}" for change in shown
    )
    noise = "".join(f"; the probe said: {line}" for line in observed.noise[:3] if not secret)
    return f"it still differs after its apply: {differences}{noise}"


def _refused(dialect: Dialect, said: Sequence[str]) -> RolecallError:
    text = "; ".join(line for line in said if line) or "no reason was given"
    return RolecallError(
        f"Rolecall's own directory {dialect.home} cannot be written: {text}",
        "free some space or fix its permissions, or set rolecall.home to another directory",
    )
