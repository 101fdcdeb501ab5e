"""A run on a cluster: one parallel read, then what differs is applied, and proven.

The counterpart of rolecall.loop for targets that have an API instead of a shell. What a
difference is, what check mode foretells and which events are told is the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass

from rolecall.cluster.lease import held, holder, lock_ref, lock_rights
from rolecall.cluster.parallel import parallel
from rolecall.cluster.resource import ClusterResource, Look
from rolecall.cluster.target import ClusterTarget, cluster_of
from rolecall.errors import ConfigError, RolecallError, UnreachableError
from rolecall.events import (
    Applying,
    Event,
    ExchangeDone,
    ExchangeStarted,
    FactsKnown,
    HostStarted,
    JobFollowed,
    Message,
    Outcome,
    Output,
    Progress,
    ResourceDone,
    TextDiff,
)
from rolecall.facts import Facts
from rolecall.lock import locked_error
from rolecall.loop.plan import Prediction, Step, first_refusal, mask, not_begun, predict
from rolecall.progress import parse_progress
from rolecall.resource import Call, Change, Observed, Refuse, Skip, diff, overlap
from rolecall.resources.cluster_object import EXISTS
from rolecall.role import Host
from rolecall.run import Declare, HostPlan, Options
from rolecall.settings import Settings
from rolecall.waits import Wait

#: Objects that are applied at the same time.
TOGETHER = 8


@dataclass(frozen=True)
class Opened:
    """What a cluster said first: every probe's answer, and who holds its lock."""

    host: Host
    steps: list[Step]
    skips: list[tuple[str, Skip]]
    answers: dict[int, Observed]
    locked_by: str = ""


def cluster_host(
    name: str, namespace: str, settings: Mapping[str, Settings], *, delete_data: bool = False
) -> Host:
    """A cluster as roles see it: its facts are those that the inventory and the options tell."""
    told = {"k8s_namespace": namespace, "k8s_delete_data": "yes" if delete_data else ""}
    facts = Facts.parse(Observed.of({"hostname": name}), Observed.of(told))
    return Host(name, facts, settings, kind="cluster")


def host_of(plan: HostPlan) -> Host:
    """The cluster of a plan, as roles see it."""
    target = cluster_of(plan.target)
    delete = target.delete_data
    return cluster_host(target.name, target.namespace, plan.settings, delete_data=delete)


def open_cluster(plan: HostPlan, what: Declare) -> Opened:
    """Ask for everything that the resources look at, and for the lock, in one parallel read.

    Raises:
        ConfigError: the roles cannot be had there.
        RolecallError: the cluster cannot be reached, or forbids it.
    """
    target = cluster_of(plan.target)
    host = host_of(plan)
    steps: list[Step] = []
    skips: list[tuple[str, Skip]] = []
    for number, (role, item) in enumerate(what(host)):
        if isinstance(item, Skip):
            skips.append((role, item))
        else:
            steps.append(Step(number, role, item))
    looks = [_look(step) for step in steps]
    lock = lock_ref(target.namespace)
    found = target.api.read([lock, *(question for look in looks for question in look.questions)])
    answers: dict[int, Observed] = {}
    at = 1
    for step, look in zip(steps, looks, strict=True):
        answers[step.number] = look.answer(found[at : at + len(look.questions)])
        at += len(look.questions)
    return Opened(host, steps, skips, answers, holder(found[0]))


def _look(step: Step) -> Look:
    return _resource(step).look()


def _resource(step: Step) -> ClusterResource:
    if isinstance(step.resource, ClusterResource):
        return step.resource
    raise RolecallError(f"{step.resource.id} is for hosts: a cluster cannot have it")


class ClusterRun:
    """What a run does on one cluster.

    Attributes:
        host: how roles see it, once it has answered.
        exchanges: parallel reads so far.
    """

    def __init__(
        self,
        plan: HostPlan,
        what: Declare,
        options: Options,
        emit: Callable[[Event], None],
        run_id: str,
    ) -> None:
        self.target = cluster_of(plan.target)
        self.host: Host | None = None
        self.exchanges = 0
        self._plan = plan
        self._what = what
        self._options = options
        self._emit = emit
        self._run_id = run_id
        self._written: frozenset[str] = frozenset()
        self._stopped_by = ""
        self._number = 0
        self._free = threading.Event()
        self._free.set()

    def run(self) -> None:
        """Predict, or converge every step in order and stop at the first that fails.

        Raises:
            LockedError: another run holds the namespace's lock.
            RolecallError: the cluster cannot be reached, or rights are missing.
        """
        with self._exchange("open"):
            opened = open_cluster(self._plan, self._what)
        self.exchanges += 1
        self.host = opened.host
        self._emit(FactsKnown(self._name, self._facts()))
        self._emit(HostStarted(self._name, len(opened.steps) + len(opened.skips)))
        for role, skip in opened.skips:
            self._emit(ResourceDone(self._name, role, skip.id, "skipped", reason=skip.reason))
        if self._options.drift and opened.locked_by:
            error = locked_error(self._name, opened.locked_by)
            self._emit(Message(self._name, error.message, "warning"))
        predictions = predict(opened.steps, opened.answers, every=self._options.drift)
        unmet = [step for step in opened.steps if self._changes(step, opened.answers)]
        if unmet and not self._options.drift:
            self._check_rights(unmet, opened.answers)
        if (self._options.check or self._options.diff) and not self._options.drift:
            predictions |= self._rehearse(unmet, predictions)
        if self._options.check:
            self._report(opened.steps, predictions)
            return
        if doomed := first_refusal(opened.steps, opened.answers, predictions):
            self._report(opened.steps, not_begun(predictions, doomed))
            return
        if not unmet:
            for step in opened.steps:
                self._done(step, "ok", 0.0)
            return
        lock = Wait(self._emit, self._name, "lock")

        def waiting(said: str) -> None:
            self._emit(Message(self._name, said, "warning"))
            lock.begin(said.removeprefix("waiting: "))

        with (
            self._let_go(),
            lock,
            held(
                self.target.api,
                self.target.namespace,
                self._name,
                self._run_id,
                time.monotonic() + self._options.lock_wait,
                waiting,
                self.target.stop,
            ),
        ):
            lock.end()
            # Another run may have had the lock since the answers came.
            self._ask(opened.steps, opened.answers)
            self._converge(opened.steps, opened.answers)

    def interrupt(self) -> None:
        """Stop waiting, and give the lock up; what the cluster is doing goes on."""
        self.target.stop.set()
        self._free.wait()

    def close(self) -> None:
        """Connections end with the process."""

    @property
    def _name(self) -> str:
        return self.target.name

    def _facts(self) -> dict[str, str | int | bool]:
        return {"kind": "cluster", "namespace": self.target.namespace}

    @contextmanager
    def _let_go(self) -> Iterator[None]:
        """While there is a lock to be given up."""
        self._free.clear()
        try:
            yield
        finally:
            self._free.set()

    @contextmanager
    def _exchange(self, what: str) -> Iterator[None]:
        """Tell of calls to the cluster that are made side by side."""
        self._number += 1
        number, began = self._number, time.monotonic()
        self._emit(ExchangeStarted(self._name, number, what))
        try:
            yield
        finally:
            self._emit(ExchangeDone(self._name, number, time.monotonic() - began))

    def _changes(self, step: Step, answers: Mapping[int, Observed]) -> tuple[Change, ...]:
        return brief(diff(step.resource.desired(), answers[step.number]))

    def _check_rights(self, unmet: Sequence[Step], answers: Mapping[int, Observed]) -> None:
        """Refuse before anything is written what could not be written."""
        needed = [_resource(step).rights(answers[step.number]) for step in unmet]
        needed.append(lock_rights(self.target.namespace))
        rights = {right: None for some in needed for right in some}
        missing = self.target.api.missing(list(rights))
        if missing:
            named = "\n".join(f"  {right}" for right in missing)
            raise RolecallError(
                f"{self._name}: the cluster does not allow, in namespace "
                f"{self.target.namespace}:\n{named}",
                "ask for a role with these rights; docs/kubernetes.md has one that is enough",
            )

    def _rehearse(
        self, unmet: Sequence[Step], predictions: Mapping[int, Prediction]
    ) -> dict[int, Prediction]:
        """What the cluster itself says of the changes, by a dry run on its server."""
        steps = [step for step in unmet if predictions[step.number].outcome == "would change"]
        refused: dict[int, Prediction] = {}
        if not steps:
            return refused
        with self._exchange("rehearse"):
            said = parallel(lambda step: _rehearsed(step, self.target), steps, TOGETHER)
        for step, answer in zip(steps, said, strict=True):
            if isinstance(answer, ConfigError):  # such as a namespace that does not exist
                raise answer
            if isinstance(answer, RolecallError):
                before = predictions[step.number]
                refused[step.number] = Prediction(
                    "failed", before.changes, answer.message, answer.hint
                )
            elif self._options.diff and answer and not step.resource.secret:
                self._emit(
                    TextDiff(self._name, step.resource.id, str(_resource(step).name), answer)
                )
        return refused

    def _report(self, steps: Sequence[Step], predictions: Mapping[int, Prediction]) -> None:
        for step in steps:
            said = predictions[step.number]
            changes = brief(said.changes)
            self._tell(step, said.outcome, changes, said.reason, said.hint, 0.0)

    def _converge(self, steps: Sequence[Step], answers: dict[int, Observed]) -> None:
        pending = list(steps)
        while pending and not self._stopped_by:
            if self.target.interrupted:
                raise UnreachableError(f"{self._name}: interrupted")
            self._refresh(pending[:1], answers)
            group = self._group(pending, answers)
            if not group:
                self._done(pending.pop(0), "ok", 0.0)
                continue
            self._apply(group, answers)
            del pending[: len(group)]
        for step in pending:
            self._tell(step, "skipped", (), f"after {self._stopped_by}", "", 0.0)

    def _refresh(self, steps: Sequence[Step], answers: dict[int, Observed]) -> None:
        """Ask again what an earlier change of this run may have altered."""
        if any(overlap(step.resource.reads(), self._written) for step in steps):
            self._ask(steps, answers)

    def _ask(self, steps: Sequence[Step], answers: dict[int, Observed]) -> None:
        looks = [_look(step) for step in steps]
        with self._exchange("probe"):
            found = iter(self.target.api.read([q for look in looks for q in look.questions]))
        self.exchanges += 1
        for step, look in zip(steps, looks, strict=True):
            answers[step.number] = look.answer([next(found) for _ in look.questions])

    def _group(self, pending: Sequence[Step], answers: Mapping[int, Observed]) -> list[Step]:
        """The steps in front that differ and may be applied at the same time."""
        group: list[Step] = []
        beside = _resource(pending[0]).beside
        for step in pending:
            if not self._changes(step, answers) or (group and _resource(step).beside != beside):
                break
            group.append(step)
            if not beside:
                break
        return group

    def _apply(self, group: Sequence[Step], answers: dict[int, Observed]) -> None:
        before = dict(answers)
        began = time.monotonic()
        for step in group:
            changes = self._changes(step, before)
            shown = mask(changes) if step.resource.secret else changes
            self._emit(Applying(self._name, step.role, step.resource.id, shown))
        with self._exchange("apply"):
            errors = parallel(lambda step: self._call(step, before[step.number]), group, TOGETHER)
        for step in group:
            self._written |= step.resource.writes()
        with suppress(RolecallError) if any(errors) else nullcontext():
            self._ask(group, answers)
        seconds = (time.monotonic() - began) / len(group)
        for step, error in zip(group, errors, strict=True):
            changes = self._changes(step, before)
            remaining = self._changes(step, answers)
            if error is None and not remaining:
                self._tell(step, "changed", changes, "", "", seconds)
                continue
            if self.target.interrupted:  # it has not failed: it is not over
                raise UnreachableError(f"{self._name}: interrupted")
            self._stopped_by = self._stopped_by or step.resource.id
            if error is None:
                error = RolecallError(_still(remaining, secret=step.resource.secret))
            self._tell(step, "failed", changes, error.message, error.hint, seconds)

    def _call(self, step: Step, observed: Observed) -> RolecallError | None:
        """Apply one step, as often as it says; returns what went wrong."""
        apply = step.resource.apply(observed)
        if isinstance(apply, Refuse):
            return RolecallError(apply.reason, apply.hint)
        assert isinstance(apply, Call)
        heard = self.target.heard_by(
            lambda line: self._heard(step, line),
            lambda label, done, total: self._emit(
                Progress(self._name, step.resource.id, label, done, total, "")
            ),
            lambda job, attached: self._emit(
                JobFollowed(self._name, step.resource.id, job, attached)
            ),
        )
        for left in range(step.resource.retries, -1, -1):
            error = _tried(apply, heard)
            if error is None or left == 0 or self.target.interrupted:
                return error
            self._emit(Output(self._name, step.resource.id, error.message))
            time.sleep(step.resource.retry_delay)
        return None

    def _heard(self, step: Step, line: str) -> None:
        if said := parse_progress(line):
            self._emit(
                Progress(self._name, step.resource.id, said.label, said.done, said.total, said.unit)
            )
        elif not step.resource.secret:
            self._emit(Output(self._name, step.resource.id, line))

    def _done(self, step: Step, outcome: Outcome, seconds: float) -> None:
        self._tell(step, outcome, (), "", "", seconds)

    def _tell(
        self,
        step: Step,
        outcome: Outcome,
        changes: tuple[Change, ...],
        reason: str,
        hint: str,
        seconds: float,
    ) -> None:
        shown = mask(changes) if step.resource.secret else changes
        self._emit(
            ResourceDone(
                self._name, step.role, step.resource.id, outcome, shown, reason, hint, seconds
            )
        )


def brief(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """Of an object that is missing: that it is, instead of every field of it."""
    return changes[:1] if changes and changes[0].field == EXISTS else changes


def _tried(apply: Call, target: ClusterTarget) -> RolecallError | None:
    """What went wrong; of a cluster that is lost, nothing is tried again."""
    try:
        apply.run(target)
    except UnreachableError:
        raise
    except RolecallError as error:
        return error
    return None


def _rehearsed(step: Step, target: ClusterTarget) -> tuple[str, ...] | RolecallError:
    try:
        return _resource(step).rehearse(target)
    except RolecallError as error:
        return error


def _still(remaining: Sequence[Change], *, secret: bool) -> str:
    shown = mask(remaining) if secret else remaining
    said = ", ".join(f"{one.field} is {one.before!r}, not {one.after!r}" for one in shown[:5])
    return f"it still differs after its apply: {said}"
