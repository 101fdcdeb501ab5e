"""A run on a host with a shell: facts, the lock and every probe, then the loop."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rolecall.errors import RolecallError, UnreachableError
from rolecall.events import (
    ExchangeDone,
    ExchangeStarted,
    FactsKnown,
    HostStarted,
    Message,
    ResourceDone,
    Stream,
    TextDiff,
)
from rolecall.facts import READS as FACTS_READS
from rolecall.facts import Facts, FactsCache
from rolecall.facts import script as facts_script
from rolecall.lock import LOCK_POLL, RELEASE, LockHolder, locked_error, signature
from rolecall.loop.answers import Answers, parts
from rolecall.loop.converge import Closing, Convergence, probe
from rolecall.loop.plan import Prediction, Step, first_refusal, mask, not_begun, predict
from rolecall.loop.preview import text_diffs
from rolecall.loop.scripts import Dialect, Group, Numbered, definitions, dialect, probe_batch
from rolecall.masks import longest_first
from rolecall.resource import Observed, Skip, diff
from rolecall.role import Host
from rolecall.run import Declare, HostPlan, Options, new_run_id
from rolecall.session import Session
from rolecall.shell import quote
from rolecall.waits import Wait


class ShellRun:
    """What a run does on a host that has a shell.

    Attributes:
        host: how roles see it, once it has answered.
    """

    def __init__(
        self,
        plan: HostPlan,
        what: Declare,
        options: Options,
        stream: Stream,
        cache: FactsCache,
        run_id: str,
    ) -> None:
        self._plan = plan
        self._what = what
        self._options = options
        self._stream = stream
        self._cache = cache
        self._run_id = run_id
        self._name = plan.target.name
        self._session: Session | None = None
        self._interrupted = False
        self.host: Host | None = None

    @property
    def exchanges(self) -> int:
        """Round trips so far."""
        return self._session.exchanges if self._session else 0

    def run(self) -> None:
        """Predict or converge.

        Raises:
            LockedError: another run holds the host's lock.
            UnreachableError: there is no shell, or the run was interrupted.
        """
        self._session = Session(
            self._plan.target, self._plan.sudo_password, self._stream.paused, self._exchange
        )
        if self._interrupted:  # while it was being connected to
            raise UnreachableError(f"{self._name}: interrupted")
        opening = Opening(self._session, self._plan, self._what, self._cache, self._run_id)
        deadline = time.monotonic() + self._options.lock_wait
        opened = opening.ask()
        self._stream.emit(FactsKnown(self._name, opened.host.facts.named()))
        if not self._options.check:
            with Wait(self._stream.emit, self._name, "lock") as lock:
                opened = self._when_unlocked(opening, opened, deadline, lock)
        self._act(opening, opened, deadline)

    def interrupt(self) -> None:
        """Let go of the host: its lock is given up, detached jobs go on."""
        self._interrupted = True
        if self._session:
            self._session.interrupt()

    def close(self) -> None:
        """End the shell."""
        if self._session:
            self._session.close()

    def _exchange(self, number: int, what: str, seconds: float | None) -> None:
        if seconds is None:
            self._stream.emit(ExchangeStarted(self._name, number, what))
        else:
            self._stream.emit(ExchangeDone(self._name, number, seconds))

    def _when_unlocked(
        self, opening: Opening, opened: Opened, deadline: float, lock: Wait
    ) -> Opened:
        """Wait for the host's lock, or take it from a run that is dead."""
        seen = ""
        while opened.locked_by:
            error = locked_error(self._name, opened.locked_by)
            said = f"waiting: {error.message}"
            if opened.locked_by != seen and opened.lock_is_dead:
                opening.release(opened.locked_by)
                deadline = max(deadline, time.monotonic() + RELEASE)
                said = "taking over the lock of a run that is dead"
            if time.monotonic() >= deadline:
                raise error
            if opened.locked_by != seen:
                self._stream.emit(Message(self._name, said, "warning"))
            lock.begin(error.message)
            seen = opened.locked_by
            time.sleep(LOCK_POLL)
            opened = opening.ask()
        return opened

    def _act(self, opening: Opening, opened: Opened, deadline: float) -> None:
        assert self._session is not None
        self.host = opened.host
        if self._options.drift and opened.locked_by:
            error = locked_error(self._name, opened.locked_by)
            self._stream.emit(Message(self._name, error.message, "warning"))
        self._stream.emit(HostStarted(self._name, len(opened.steps) + len(opened.skips)))
        for role, skip in opened.skips:
            self._stream.emit(
                ResourceDone(self._name, role, skip.id, "skipped", reason=skip.reason)
            )
        if self._options.diff:
            self._show_texts(opened)
        predictions = predict(opened.steps, opened.answers, every=self._options.drift)
        if self._options.check:
            self._report(opened.steps, predictions)
            return
        if doomed := first_refusal(opened.steps, opened.answers, predictions):
            self._report(opened.steps, not_begun(predictions, doomed))
            return
        Convergence(
            self._session,
            opened.steps,
            opened.answers,
            opened.dialect,
            self._stream.emit,
            deadline,
            Closing(opening.facts_script, FACTS_READS, opening.remember),
        ).run()

    def _show_texts(self, opened: Opened) -> None:
        assert self._session is not None
        secrets = longest_first(self._plan.secrets)
        unmet = [
            (step.resource, opened.answers[step.number])
            for step in opened.steps
            if diff(step.resource.desired(), opened.answers[step.number])
        ]
        for resource_id, path, lines in text_diffs(self._session, unmet, secrets):
            self._stream.emit(TextDiff(self._name, resource_id, path, lines))

    def _report(self, steps: Sequence[Step], predictions: Mapping[int, Prediction]) -> None:
        for step in steps:
            said = predictions[step.number]
            changes = mask(said.changes) if step.resource.secret else said.changes
            self._stream.emit(
                ResourceDone(
                    self._name,
                    step.role,
                    step.resource.id,
                    said.outcome,
                    changes,
                    said.reason,
                    said.hint,
                )
            )


@dataclass(frozen=True)
class Opened:
    """What a host said first: who holds its lock, and every probe's answer."""

    dialect: Dialect
    host: Host
    steps: list[Step]
    skips: list[tuple[str, Skip]]
    answers: dict[int, Observed]
    locked_by: str

    @property
    def lock_is_dead(self) -> bool:
        """Whether the run that holds the lock is known to be dead."""
        holder = LockHolder.parse(self.locked_by)
        return holder is not None and holder.is_dead


class Opening:
    """A run's first round trip: facts, the lock, and every probe.

    Which resources there are depends on the facts. The facts of the last run are taken to hold
    until the answer says otherwise; only then are the probes asked a second time.
    """

    def __init__(
        self, session: Session, plan: HostPlan, what: Declare, cache: FactsCache, run_id: str
    ) -> None:
        self._session = session
        self._plan = plan
        self._what = what
        self._cache = cache
        self._who = signature()
        self._run_id = run_id
        session.tell(self._dialect(plan.home, is_root=True).opening())

    def ask(self) -> Opened:
        """Exchange facts and answers, once or, when the facts are new, twice."""
        name = self._session.target.name
        assumed = self._cache.load(name, self._plan.home)
        steps: list[Step] = []
        skips: list[tuple[str, Skip]] = []
        script = ""
        groups: list[Group] = []
        try:
            steps, skips = self._declared(assumed) if assumed else ([], [])
        except RolecallError:
            assumed = None  # of no account, if the facts have changed
        if assumed:
            numbered = [Numbered(step.number, step.resource) for step in steps]
            self._session.tell(definitions(item.resource for item in numbered))
            script, groups = probe_batch(numbered, self._dialect_for(assumed))
        answers = Answers(groups)
        said: dict[str, str] = {}
        for part in parts(self._session.exchange(f"{self.facts_script}\n{script}", "open")):
            if part.frame.kind in {"facts", "lock", "extra"}:
                said[part.frame.kind] = part.text
            else:
                answers.feed(part)
        facts = _facts(said)
        locked_by = said["lock"]
        held = LockHolder.parse(locked_by)
        if facts == assumed:
            observed = answers.complete([step.number for step in steps])
        else:
            self._cache.save(name, self._plan.home, facts)
            steps, skips = self._declared(facts)
            observed = probe(self._session, steps, self._dialect_for(facts))
        return Opened(
            self._dialect_for(facts),
            self._host(facts),
            steps,
            skips,
            observed,
            locked_by if held else "",
        )

    def remember(self, said: Mapping[str, str]) -> None:
        """Keep the facts as they are after a run, so that the next one need not ask twice."""
        self._cache.save(self._session.target.name, self._plan.home, _facts(said))

    @property
    def facts_script(self) -> str:
        """Shell text that tells the host's facts."""
        return facts_script(self._plan.facts)

    def release(self, locked_by: str) -> None:
        """Ask the shell of a dead run to give its lock up; what it runs comes to its end."""
        for _ in self._session.exchange(f"rc_release {quote(locked_by)}", "release"):
            pass

    def _declared(self, facts: Facts) -> tuple[list[Step], list[tuple[str, Skip]]]:
        steps: list[Step] = []
        skips: list[tuple[str, Skip]] = []
        for number, (role, item) in enumerate(self._what(self._host(facts))):
            if isinstance(item, Skip):
                skips.append((role, item))
            else:
                steps.append(Step(number, role, item))
        password = self._plan.sudo_password
        as_root = any(step.resource.sudo or step.resource.probe_sudo for step in steps)
        if password and not password.only_if_asked and as_root and not facts.is_root:
            self._session.tell(password.assignment())
        return steps, skips

    def _host(self, facts: Facts) -> Host:
        return Host(self._session.target.name, facts, self._plan.settings)

    def _dialect_for(self, facts: Facts) -> Dialect:
        return self._dialect(facts.state_dir, is_root=facts.is_root)

    def _dialect(self, home: str, *, is_root: bool) -> Dialect:
        return dialect(
            self._session.mark,
            home,
            self._run_id,
            self._who,
            is_root=is_root,
            patience=self._session.patience,
        )


def _facts(said: Mapping[str, str]) -> Facts:
    """Facts from what a host said, by frame."""
    return Facts.parse(Observed.parse(said["facts"]), Observed.parse(said.get("extra", "")))


@contextmanager
def looking(plan: HostPlan, what: Declare, cache: FactsCache) -> Iterator[tuple[Session, Opened]]:
    """Open a host to read from it, without a run: its shell, and what its probes say."""
    session = Session(plan.target, plan.sudo_password)
    try:
        yield session, Opening(session, plan, what, cache, new_run_id()).ask()
    finally:
        session.close()
