"""A run: roles on hosts. Connects, asks for facts, and lets the loop converge or predict."""

from __future__ import annotations

import getpass
import platform
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rolecall.errors import ConfigError, RolecallError, UnreachableError
from rolecall.events import (
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
from rolecall.facts import SCRIPT as FACTS_SCRIPT
from rolecall.facts import Facts, FactsCache
from rolecall.lock import LOCK_POLL, LockHolder, locked_error
from rolecall.loop.answers import Answers, parts
from rolecall.loop.converge import Convergence, mask, probe
from rolecall.loop.plan import Prediction, Step, first_refusal, not_begun, predict
from rolecall.loop.preview import text_diffs
from rolecall.loop.scripts import Dialect, Group, Numbered, definitions, dialect, probe_batch
from rolecall.resource import Observed, Resource, Skip, diff
from rolecall.role import Host, Role
from rolecall.rollout import Rollout
from rolecall.session import Session
from rolecall.settings import RunnerSettings, Settings
from rolecall.sudo import SudoPassword
from rolecall.targets import Target


@dataclass(frozen=True)
class HostPlan:
    """One host of a run: how to reach it, what its settings are, how to become root there."""

    target: Target
    settings: dict[str, Settings]
    sudo_password: SudoPassword | None = None

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


def new_run_id() -> str:
    """A name for a run that sorts by time: ``20261122-131203-4f2a``."""
    return time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)


@dataclass(frozen=True)
class HostResult:
    """What came of one host: how roles see it (None if it never answered) and its session."""

    target: Target
    host: Host | None


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

    Hosts that get no turn because too many failed, or because the canary did, are reported as
    ``skipped``.
    """
    names = tuple(plan.target.name for plan in plans)
    by_name = {plan.target.name: plan for plan in plans}
    waves = rollout.waves(names)
    stream.emit(RunStarted("", run_id, options.task, options.check, names))
    results: list[HostResult] = []
    stopped = ""
    for number, wave in enumerate(waves):
        runs = [HostRun(by_name[name], what, options, stream, cache, run_id) for name in wave]
        if not stopped:
            results += _run_wave(runs, rollout, stream)
            stopped = _why_stop(rollout, stream.recap)
            if rollout.canary and number == 0 and not stopped:
                stopped = _canary_trouble(results[0], stream, gate)
        for name in wave:
            if name not in {result.target.name for result in results}:
                stream.emit(ResourceDone(name, "", "host", "skipped", reason=stopped))
    return results


def _run_wave(runs: Sequence[HostRun], rollout: Rollout, stream: Stream) -> list[HostResult]:
    """Run hosts side by side; once too many have failed, those that have not begun do not."""

    def turn(run: HostRun) -> HostResult | None:
        return None if _why_stop(rollout, stream.recap) else run.guarded()

    with ThreadPoolExecutor(max_workers=max(1, min(rollout.forks, len(runs)))) as pool:
        futures = [pool.submit(turn, run) for run in runs]
        try:
            return [result for future in futures if (result := future.result())]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # hosts that have not begun do not
            for run in runs:
                run.interrupt()
            raise


def _why_stop(rollout: Rollout, recap: Recap) -> str:
    failed = [name for name, counts in recap.hosts.items() if counts.failed or counts.unreachable]
    if rollout.stops_after(len(failed)):
        return f"after {', '.join(failed)} failed (--max-fail {rollout.max_fail})"
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
    ) -> None:
        self._plan = plan
        self._what = what
        self._options = options
        self._stream = stream
        self._cache = cache
        self._run_id = run_id
        self._session: Session | None = None
        self._interrupted = False
        self._host: Host | None = None
        self._name = plan.target.name

    def guarded(self) -> HostResult:
        """Run, and turn what goes wrong into events of this host."""
        started = time.monotonic()
        error: RolecallError | None = None
        try:
            self._run()
        except ConfigError:
            raise
        except UnreachableError as caught:
            if self._interrupted:
                raise
            error = caught
            self._failed("unreachable", caught)
        except RolecallError as caught:
            error = caught
            self._failed("failed", caught)
        except BaseException:  # nobody reads the output any more, or a defect: stop at once
            self.interrupt()
            raise
        finally:
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
        return HostResult(self._plan.target, self._host)

    def interrupt(self) -> None:
        """Let go of the host: its lock is given up, detached jobs go on."""
        self._interrupted = True
        if self._session:
            self._session.interrupt()

    def _failed(self, outcome: Outcome, error: RolecallError) -> None:
        self._stream.emit(
            ResourceDone(self._name, "", "host", outcome, reason=error.message, hint=error.hint)
        )

    def _run(self) -> None:
        self._session = Session(self._plan.target)
        opening = Opening(self._session, self._plan, self._what, self._cache, self._run_id)
        deadline = time.monotonic() + self._options.lock_wait
        waiting = False
        opened = opening.ask()
        while opened.locked_by and not self._options.check:
            error = locked_error(self._name, opened.locked_by)
            if time.monotonic() >= deadline:
                raise error
            if not waiting:
                self._stream.emit(Message(self._name, f"waiting: {error.message}", "warning"))
            waiting = True
            time.sleep(LOCK_POLL)
            opened = opening.ask()
        self._act(opened, deadline)

    def _act(self, opened: Opened, deadline: float) -> None:
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
        self._who = f"{_user()}@{platform.node()}"
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
        facts, locked_by = assumed, ""
        for part in parts(self._session.exchange(f"{FACTS_SCRIPT}\n{script}")):
            if part.frame.kind == "facts":
                facts = Facts.parse(Observed.parse(part.text))
            elif part.frame.kind == "lock":
                locked_by = part.text
            else:
                answers.feed(part)
        assert facts is not None
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
        if password and as_root and not facts.is_root:
            self._session.tell(password.assignment())
        return steps, skips

    def _host(self, facts: Facts) -> Host:
        return Host(self._session.target.name, facts, self._plan.settings)

    def _dialect_for(self, facts: Facts) -> Dialect:
        return self._dialect(facts.state_dir, is_root=facts.is_root)

    def _dialect(self, home: str, *, is_root: bool) -> Dialect:
        return dialect(self._session.mark, home, self._run_id, self._who, is_root=is_root)


@contextmanager
def looking(plan: HostPlan, what: Declare, cache: FactsCache) -> Iterator[tuple[Session, Opened]]:
    """Open a host to read from it, without a run: its shell, and what its probes say."""
    session = Session(plan.target)
    try:
        yield session, Opening(session, plan, what, cache, new_run_id()).ask()
    finally:
        session.close()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
