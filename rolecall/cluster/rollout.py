"""How far a workload is on its way to what its manifest says, and what keeps it from there.

Pure: questions go out of here, and what the cluster answers comes back in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rolecall.cluster.diagnosis.creation import creation_trouble
from rolecall.cluster.diagnosis.objects import (
    condition,
    events_of,
    latest,
    name,
    newest_first,
    one_line,
    owned_by,
    said,
    status,
)
from rolecall.cluster.diagnosis.pods import TURNED_OUT, is_ready, pod_report, turned_out, unready
from rolecall.cluster.diagnosis.trouble import DEADLINE, LogsOf, Trouble
from rolecall.cluster.diagnosis.volumes import claim_trouble
from rolecall.cluster.objects import Found, Object, Question, Ref, Selection
from rolecall.errors import RolecallError

#: Annotations of ours on a pod template: a pod that has them all is of this very template.
MARKS = "rolecall.dev/"


@dataclass(frozen=True)
class RolloutState:
    """Where a rollout is.

    Attributes:
        done: replicas that are up to date and take requests, of ``total``.
        summary: the same in words.
        lines: what each part of it does, one line each.
        troubles: what keeps it from being ready, causes before what follows from them.
        unready: a container that has begun to run and is waited for.
    """

    ready: bool
    done: int
    total: int
    summary: str
    lines: tuple[str, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    unready: LogsOf | None = None


@dataclass(frozen=True)
class Rollout(ABC):
    """The rollout of a workload as ``manifest`` describes it."""

    manifest: Object

    @cached_property
    def ref(self) -> Ref:
        """The workload."""
        return Ref.of(self.manifest)

    @property
    @abstractmethod
    def glance(self) -> tuple[Question, ...]:
        """The questions that :meth:`is_ready` needs."""

    @abstractmethod
    def is_ready(self, found: Sequence[Found]) -> bool:
        """Whether all of it is there and nothing older serves, by the answers to the glance."""

    @abstractmethod
    def progress(self, found: Sequence[Found]) -> str:
        """How far it is, in a few words, by the answers to the glance."""

    @property
    @abstractmethod
    def questions(self) -> tuple[Question, ...]:
        """The questions that :meth:`state` needs, besides the namespace's events."""

    @abstractmethod
    def state(self, found: Sequence[Found], events: Sequence[Object] = ()) -> RolloutState:
        """Where it is, by the answers to the questions."""

    @property
    @abstractmethod
    def pods(self) -> tuple[Question, ...]:
        """The questions for its pods, older ones included."""

    @property
    def events(self) -> Selection:
        """The question for what has been reported in the namespace."""
        return Selection("v1", "Event", self.ref.namespace)

    def _select(self, api: str, kind: str, labels: Iterable[tuple[str, str]]) -> Selection:
        return Selection(api, kind, self.ref.namespace, tuple(labels))

    def _claims(self, pod_spec: Mapping[str, Any]) -> tuple[Ref, ...]:
        sources = [one.get("persistentVolumeClaim") for one in pod_spec.get("volumes") or ()]
        names = dict.fromkeys(str(one["claimName"]) for one in sources if one)
        return tuple(
            Ref("v1", "PersistentVolumeClaim", claim, self.ref.namespace) for claim in names
        )


def rollout_of(manifest: Object) -> Rollout:
    """What is to be known of a workload's rollout.

    Raises:
        RolecallError: it is of a kind whose rollout Rolecall does not know.
    """
    from rolecall.cluster.mlservice import MLServiceRollout

    kinds: dict[str, type[Rollout]] = {
        "Deployment": DeploymentRollout,
        "MLService": MLServiceRollout,
    }
    if manifest["kind"] not in kinds:
        raise RolecallError(
            f"{Ref.of(manifest)}: the rollout of this kind cannot be watched",
            f"these can: {', '.join(kinds)}",
        )
    return kinds[manifest["kind"]](manifest)


@dataclass(frozen=True)
class DeploymentRollout(Rollout):
    """Of a Deployment (apps/v1), as ``kubectl rollout status`` judges it."""

    @property
    def glance(self) -> tuple[Question, ...]:
        """The Deployment says it all."""
        return (self.ref,)

    def is_ready(self, found: Sequence[Found]) -> bool:
        """Its controller has seen this generation, and every replica is of it and available."""
        live = only(found[0])
        return live is not None and _is_current(live) and _is_complete(live)

    def progress(self, found: Sequence[Found]) -> str:
        """How many replicas are up to date and available."""
        live = only(found[0])
        if live is None or not _is_current(live):
            return "no"
        return _summary(live, _surely(live), _wanted(live))

    @property
    def pods(self) -> tuple[Question, ...]:
        """Those that its selector means."""
        return (self._select("v1", "Pod", self._labels),)

    @cached_property
    def questions(self) -> tuple[Question, ...]:
        """With its replica sets, pods and volume claims."""
        return (
            self.ref,
            self._select("apps/v1", "ReplicaSet", self._labels),
            *self.pods,
            *self._claims(self.manifest["spec"]["template"]["spec"]),
        )

    @property
    def _labels(self) -> Iterable[tuple[str, str]]:
        return (self.manifest["spec"]["selector"].get("matchLabels") or {}).items()

    def state(self, found: Sequence[Found], events: Sequence[Object] = ()) -> RolloutState:
        """Judge by the present replica set; what older ones do is no trouble of this rollout."""
        live = only(found[0])
        if live is None:
            return missing(self.ref)
        total = _wanted(live)
        if not _is_current(live):
            return RolloutState(
                False,
                0,
                total,
                f"0 of {total} replicas ready",
                (),
                (_not_taken_up(self.ref),),
            )
        sets = owned_by(many(found[1]), live)
        present = _present(live, sets)
        pods = newest_first(many(found[2]))
        new = owned_by(pods, present) if present else []
        old = [pod for pod in pods if pod not in new]
        used = claims(self.questions[3:], found[3:])
        seen = Parts(tuple(new), tuple(old), used, tuple(events)).report()
        done = min(_done(live), max(_surely(live), sum(map(is_ready, new))))
        return RolloutState(
            _is_complete(live),
            done,
            total,
            _summary(live, done, total),
            seen.lines,
            (*_refusals(present, events), *seen.troubles, *_of_controller(live, self.ref)),
            seen.unready,
        )


@dataclass(frozen=True)
class Seen:
    """What the parts of a workload do."""

    lines: tuple[str, ...]
    troubles: tuple[Trouble, ...]
    unready: LogsOf | None


@dataclass(frozen=True)
class Parts:
    """The parts of a workload: pods of what is wanted, older ones, and the claims they use."""

    pods: tuple[Object, ...]
    old: tuple[Object, ...]
    claims: tuple[tuple[str, Object | None], ...]
    events: tuple[Object, ...]

    def report(self) -> Seen:
        """What each of them does, and what is wrong with the wanted ones."""
        holders = [
            f"pod {name(pod)}" for pod in self.old if (pod.get("spec") or {}).get("nodeName")
        ]
        volumes = [claim_trouble(*claim, self.events) for claim in self.claims]
        troubles = [trouble for trouble in volumes if trouble]
        lines = [trouble.what for trouble in troubles]
        for pod in self.pods:
            report = pod_report(pod, self.events, holders)
            lines.append(report.line)
            troubles += report.troubles
        lines += [pod_report(pod, self.events).line for pod in self.old if not is_ready(pod)]
        troubles += self._turned_out()
        waited_for = [one for pod in self.pods if (one := unready(pod))]
        return Seen(tuple(lines), tuple(troubles), waited_for[0] if waited_for else None)

    def _turned_out(self) -> list[Trouble]:
        out = turned_out(self.pods)
        if len(out) < TURNED_OUT or any(is_ready(pod) for pod in self.pods):
            return []
        last = pod_report(out[0], self.events).troubles[0]
        what = f"{len(out)} pods were turned out by their nodes; the last one: {last.what}"
        return [Trouble("turned out again", "the pods", what, last.hint, "none")]


def only(found: Found) -> Object | None:
    """The answer to a :class:`Ref`."""
    return None if isinstance(found, tuple) else found


def many(found: Found) -> tuple[Object, ...]:
    """The answer to a :class:`Selection`."""
    return found if isinstance(found, tuple) else ()


def claims(
    asked: Sequence[Question], found: Sequence[Found]
) -> tuple[tuple[str, Object | None], ...]:
    """The claims that were asked for, by name."""
    return tuple(
        (question.name, only(answer))
        for question, answer in zip(asked, found, strict=True)
        if isinstance(question, Ref)
    )


def missing(ref: Ref) -> RolloutState:
    """The state of what is not there."""
    trouble = Trouble("missing", str(ref), f"{ref} is not there", "was it deleted?", "little")
    return RolloutState(False, 0, 1, f"{ref} is not there", (), (trouble,))


def refusals(thing: Object, events: Sequence[Object]) -> list[Trouble]:
    """Why the controller of a replica set or a job may not make its pods."""
    failure = condition(thing, "ReplicaFailure")
    if failure.get("status") == "True" and failure.get("reason") == "FailedCreate":
        return [creation_trouble(str(failure.get("message") or ""))]
    own = events_of(events, thing)
    event = latest(own, "FailedCreate")
    if event is None or latest(own, "SuccessfulCreate", "FailedCreate") is not event:
        return []
    return [creation_trouble(said(event))]


def _refusals(present: Object | None, events: Sequence[Object]) -> list[Trouble]:
    return refusals(present, events) if present else []


def _count(live: Object, field: str) -> int:
    return int(status(live).get(field) or 0)


def _wanted(live: Object) -> int:
    replicas = (live.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def _done(live: Object) -> int:
    up = min(_count(live, "updatedReplicas"), _count(live, "availableReplicas"))
    return min(up, _wanted(live))


def _surely(live: Object) -> int:
    """As many as are up to date and available whichever of the available ones are old."""
    old = _count(live, "replicas") - _count(live, "updatedReplicas")
    return max(0, min(_done(live), _count(live, "availableReplicas") - old))


def _is_current(live: Object) -> bool:
    generation = live["metadata"].get("generation", 0)
    return int(status(live).get("observedGeneration") or 0) >= int(generation)


def _is_complete(live: Object) -> bool:
    wanted = _wanted(live)
    return (
        _count(live, "updatedReplicas") == wanted
        and _count(live, "replicas") == wanted
        and _count(live, "availableReplicas") == wanted
    )


#: The number of a Deployment's rollout, on it and on the replica set that belongs to it
#: (pkg/controller/deployment/util, RevisionAnnotation).
_REVISION = "deployment.kubernetes.io/revision"


def _present(live: Object, sets: Sequence[Object]) -> Object | None:
    """The replica set of the present template."""
    number = (live["metadata"].get("annotations") or {}).get(_REVISION)
    for one in sets:
        if number and (one["metadata"].get("annotations") or {}).get(_REVISION) == number:
            return one
    return None


def _summary(live: Object, done: int, total: int) -> str:
    old = _count(live, "replicas") - _count(live, "updatedReplicas")
    text = f"{done} of {total} replicas ready"
    return f"{text}, {old} old to go" if old > 0 else text


def _not_taken_up(ref: Ref) -> Trouble:
    return Trouble(
        "controller",
        str(ref),
        f"the cluster's controller has not taken up the change of {ref}",
        "is kube-controller-manager running?",
        "some",
    )


def _of_controller(live: Object, ref: Ref) -> list[Trouble]:
    """What the Deployment's own controller complains about."""
    if (live.get("spec") or {}).get("paused"):
        return [
            Trouble(
                "paused",
                str(ref),
                f"the rollout of {ref} is paused",
                f"kubectl rollout resume {ref.kind.lower()} {ref.name}",
                "little",
            )
        ]
    progressing = condition(live, "Progressing")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        seconds = (live.get("spec") or {}).get("progressDeadlineSeconds", 600)
        message = one_line(str(progressing.get("message") or ""))
        return [
            Trouble(
                DEADLINE,
                str(ref),
                f"nothing has come forward for {seconds} s: {message}",
                "give it longer with progressDeadlineSeconds, if it only needs longer",
                "little",  # it may have been mended since
            )
        ]
    return []
