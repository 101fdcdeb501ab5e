"""A run: roles on hosts. Connects, asks for facts, and lets the loop converge or predict."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rolecall.errors import ConfigError, RolecallError, UnreachableError
from rolecall.events import (
    Connecting,
    HostDone,
    HostStarted,
    Message,
    Outcome,
    Recap,
    ResourceDone,
    RunStarted,
    Stream,
    TextDiff,
)
from rolecall.facts import READS as FACTS_READS
from rolecall.facts import Facts, FactsCache
from rolecall.facts import script as facts_script
from rolecall.lock import LOCK_POLL, RELEASE, LockHolder, locked_error, signature
from rolecall.loop.answers import Answers, parts
from rolecall.loop.converge import Closing, Convergence, mask, probe
from rolecall.loop.plan import Prediction, Step, first_refusal, not_begun, predict
from rolecall.loop.preview import text_diffs
from rolecall.loop.scripts import Dialect, Group, Numbered, definitions, dialect, probe_batch
from rolecall.resource import Observed, Resource, Skip, diff
from rolecall.role import Host, Role
from rolecall.rollout import Rollout
from rolecall.session import Session
from rolecall.settings import RunnerSettings, Settings
from rolecall.shell import quote
from rolecall.sudo import SudoPassword
from rolecall.targets import Target
from rolecall.turns import SideBySide


@dataclass(frozen=True)
class HostPlan:
    """One host of a run: how to reach it, what its settings are, how to become root there.

    ``facts`` are the texts that ask for the facts which the project's roles bring.
    """

    target: Target
    settings: dict[str, Settings]
    sudo_password: SudoPassword | None = None
    facts: tuple[str, ...] = ()

    @property
    def home(self) -> str:
        """Rolecall's own directory there, as set; ``~`` is the host's to expand."""
        runner = self.settings["rolecall"]
        assert isinstance(runner, RunnerSettings)
        return runner.home


@dataclass(frozen=True)
class Options:
    """How to run: ``check`` writes nothing, ``diff`` shows texts, tags choose roles."""

    task: str
    check: bool = False
    diff: bool = False
    lock_wait: float = 0.0


#: What to converge on a host, given its facts and settings: role name and resource, in order.
Declare = Callable[[Host], Sequence[tuple[str, Resource | Skip]]]


def declare(roles: Sequence[Role[Any]]) -> Declare:
    """The resources of ``roles``, with every identity checked to be unique."""

    def resources(host: Host) -> list[tuple[str, Resource | Skip]]:
        result: list[tuple[str, Resource | Skip]] = []
        owners: dict[str, str] = {}
        for role in roles:
            for resource in role.resources(host):
                if resource.id in owners:
                    raise ConfigError(
                        f"{resource.id} is declared twice: by role {owners[resource.id]} and "
                        f"by role {role.name}",
                        "a resource has one owner: let the other role rely on it",
                    )
                owners[resource.id] = role.name
                result.append((role.name, resource))
        return result

    return resources


def thorough(what: Declare) -> Declare:
    """The same resources, with probes that read contents where they usually trust times."""

    def resources(host: Host) -> list[tuple[str, Resource | Skip]]:
        return [
            (role, item.thorough() if isinstance(item, Resource) else item)
            for role, item in what(host)
        ]

    return resources


def new_run_id() -> str:
    """A name for a run that sorts by time: ``20261122-131203-4f2a``."""
    return time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)


@dataclass(frozen=True)
class HostResult:
    """What came of one host.

    Attributes:
        host: how roles see it; None if it never answered.
        defect: an exception that nobody foresaw.
    """

    target: Target
    host: Host | None
    defect: Exception | None = None


#: What the canary must pass besides its own run; raises ``RolecallError`` if it does not.
Gate = Callable[[HostResult], None]


def run_hosts(
    plans: Sequence[HostPlan],
    what: Declare,
    options: Options,
    stream: Stream,
    cache: FactsCache,
    run_id: str,
    rollout: Rollout = Rollout(),  # noqa: B008 - frozen
    gate: Gate | None = None,
) -> list[HostResult]:
    """Run on every host, wave by wave; a host that fails never hides or stops another.

    Hosts that get no turn because too many failed, because the canary did, or because of an
    interrupt, are reported as ``skipped``. The results are in the order of ``plans``.

    Raises:
        KeyboardInterrupt: after the hosts were let go; detached jobs go on.
        ConfigError: there is one host, and its roles cannot be had there.
        Exception: a defect showed on a host; the others of its wave came to their end.
    """
    names = tuple(plan.target.name for plan in plans)
    by_name = {plan.target.name: plan for plan in plans}
    waves = rollout.waves(names)
    stream.emit(RunStarted("", run_id, options.task, options.check, names))
    results: dict[str, HostResult] = {}
    begun: set[str] = set()
    stopped = ""
    try:
        for number, wave in enumerate(waves):
            if stopped:
                break
            runs = [
                HostRun(by_name[name], what, options, stream, cache, run_id, len(names) == 1)
                for name in wave
            ]
            for result in _run_wave(runs, rollout, stream, begun):
                results[result.target.name] = result
            if defect := next((r.defect for r in results.values() if r.defect), None):
                stopped = "after a defect showed"
                raise defect
            stopped = _why_stop(rollout, stream.recap)
            if rollout.canary and number == 0 and not stopped:
                stopped = _canary_trouble(results[rollout.canary], stream, gate)
    except KeyboardInterrupt:
        stopped = "interrupted before its turn"
        raise
    finally:
        for name in names:
            if stopped and name not in begun:
                stream.emit(ResourceDone(name, "", "host", "skipped", reason=stopped))
    return [results[name] for name in names if name in results]


def _run_wave(
    runs: Sequence[HostRun], rollout: Rollout, stream: Stream, begun: set[str]
) -> list[HostResult]:
    """Run hosts side by side; once too many have failed, those that have not begun do not."""

    def said(names: Sequence[str]) -> None:
        hosts = f"letting go of {', '.join(names)}; " if names else ""
        jobs = "detached jobs go on; Ctrl-C again leaves at once"
        stream.emit(Message("", f"interrupted: {hosts}{jobs}", "warning"))

    try:
        return SideBySide(
            runs, rollout.forks, lambda: not _why_stop(rollout, stream.recap), said
        ).run()
    finally:
        begun.update(run.name for run in runs if run.begun)


def _why_stop(rollout: Rollout, recap: Recap) -> str:
    failed = [name for name, counts in recap.hosts.items() if counts.bad]
    if rollout.stops_after(len(failed)):
        who = ", ".join(failed) if len(failed) <= 3 else f"{len(failed)} hosts"
        return f"after {who} failed (--max-fail {rollout.max_fail})"
    return ""


def _canary_trouble(canary: HostResult, stream: Stream, gate: Gate | None) -> str:
    """Why nothing may follow the canary; empty when it passed."""
    name = canary.target.name
    counts = stream.recap.of(name)
    if not (counts.failed or counts.unreachable) and gate:
        try:
            gate(canary)
        except RolecallError as error:
            stream.emit(
                ResourceDone(name, "", "canary", "failed", reason=error.message, hint=error.hint)
            )
    return f"after the canary {name} failed" if counts.failed or counts.unreachable else ""


class HostRun:
    """One host's part of a run."""

    def __init__(
        self,
        plan: HostPlan,
        what: Declare,
        options: Options,
        stream: Stream,
        cache: FactsCache,
        run_id: str,
        alone: bool = True,
    ) -> None:
        self._plan = plan
        self._what = what
        self._options = options
        self._stream = stream
        self._cache = cache
        self._run_id = run_id
        self._alone = alone
        self._session: Session | None = None
        self._interrupted = False
        self._over = False
        self._host: Host | None = None
        self.name = self._name = plan.target.name
        self.begun = False

    def run(self) -> HostResult:
        """Run, and turn what goes wrong into events of this host.

        Raises:
            BrokenPipeError: nobody reads the output any more.
            ConfigError: the roles cannot be had there, and this is the only host.
            UnreachableError: the run was interrupted.
        """
        self.begun = True
        started = time.monotonic()
        error: RolecallError | None = None
        defect: Exception | None = None
        try:
            self._run()
        except BrokenPipeError:
            self.interrupt()
            raise
        except RolecallError as caught:
            if self._interrupted or (self._alone and isinstance(caught, ConfigError)):
                raise
            error = caught
            unreachable = isinstance(caught, UnreachableError)
            self._failed("unreachable" if unreachable else "failed", caught)
        except Exception as caught:
            if self._interrupted:
                raise
            defect = caught
            error = RolecallError(f"unexpected {type(caught).__name__}: {caught}")
            self._failed("failed", error)
        except BaseException:
            self.interrupt()
            raise
        finally:
            self._over = True
            if self._session:
                self._session.close()
        exchanges = self._session.exchanges if self._session else 0
        self._stream.emit(
            HostDone(
                self._name,
                exchanges,
                time.monotonic() - started,
                error.message if error else "",
                error.hint if error else "",
            )
        )
        return HostResult(self._plan.target, self._host, defect)

    def interrupt(self) -> None:
        """Let go of the host: its lock is given up, detached jobs go on."""
        self._interrupted = True
        if self._plan.sudo_password:
            self._plan.sudo_password.withdraw()
        if self._session and not self._over:
            self._session.interrupt()

    def _failed(self, outcome: Outcome, error: RolecallError) -> None:
        self._stream.emit(
            ResourceDone(self._name, "", "host", outcome, reason=error.message, hint=error.hint)
        )

    def _run(self) -> None:
        self._stream.emit(Connecting(self._name))
        self._session = Session(self._plan.target, self._plan.sudo_password, self._stream.paused)
        if self._interrupted:  # while it was being connected to
            raise UnreachableError(f"{self._name}: interrupted")
        opening = Opening(self._session, self._plan, self._what, self._cache, self._run_id)
        deadline = time.monotonic() + self._options.lock_wait
        opened = opening.ask()
        if not self._options.check:
            opened = self._when_unlocked(opening, opened, deadline)
        self._act(opening, opened, deadline)

    def _when_unlocked(self, opening: Opening, opened: Opened, deadline: float) -> Opened:
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
            seen = opened.locked_by
            time.sleep(LOCK_POLL)
            opened = opening.ask()
        return opened

    def _act(self, opening: Opening, opened: Opened, deadline: float) -> None:
        assert self._session is not None
        self._host = opened.host
        self._stream.emit(HostStarted(self._name, len(opened.steps) + len(opened.skips)))
        for role, skip in opened.skips:
            self._stream.emit(
                ResourceDone(self._name, role, skip.id, "skipped", reason=skip.reason)
            )
        if self._options.diff:
            self._show_texts(opened)
        predictions = predict(opened.steps, opened.answers)
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
        unmet = [
            (step.resource, opened.answers[step.number])
            for step in opened.steps
            if diff(step.resource.desired(), opened.answers[step.number])
        ]
        for resource_id, path, lines in text_diffs(self._session, unmet):
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
        for part in parts(self._session.exchange(f"{self.facts_script}\n{script}")):
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
        for _ in self._session.exchange(f"rc_release {quote(locked_by)}"):
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
