"""The rollout of an MLService of TensorStack AI (tensorstack.dev/v1beta1).

t9k/user-manuals (fbf6b3c), src/references/api-reference/mlservice.md and
src/modules/deployment/mlservice.md. Its controller makes a Knative Service per release, called
``NAME-predict-RELEASE`` (so are the release's addresses), whose pods have the labels and
annotations of the release's template, and Knative's own label. The status has no
observedGeneration: only pods tell whether it speaks of this very manifest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rolecall.cluster.diagnosis.objects import (
    condition,
    events_of,
    latest,
    newest_first,
    one_line,
    said,
    status,
)
from rolecall.cluster.diagnosis.pods import is_ready
from rolecall.cluster.diagnosis.trouble import Trouble
from rolecall.cluster.objects import Found, Object, Question, Ref
from rolecall.cluster.rollout import (
    MARKS,
    Parts,
    Rollout,
    RolloutState,
    claims,
    many,
    missing,
    only,
    refusals,
)

#: Knative Serving's label of a service's pods (pkg/apis/serving/register.go, ServiceLabelKey).
SERVICE = "serving.knative.dev/service"


@dataclass(frozen=True)
class Release:
    """A release: its name, the marks of its pods' template, and how many pods it has at least."""

    name: str
    marks: tuple[tuple[str, str], ...]
    replicas: int
    claims: tuple[str, ...]

    @classmethod
    def of(cls, release: Mapping[str, Any]) -> Release:
        """A release as the manifest has it."""
        predictor = release.get("predictor") or {}
        template = predictor.get("template") or {}
        annotations = (template.get("metadata") or {}).get("annotations") or {}
        replicas = predictor.get("minReplicas")
        volumes = (template.get("spec") or {}).get("volumes") or ()
        named = [(predictor.get("storage") or {}).get("pvc") or {}]
        named += [volume.get("persistentVolumeClaim") or {} for volume in volumes]
        return cls(
            str(release["name"]),
            tuple(sorted((k, str(v)) for k, v in annotations.items() if k.startswith(MARKS))),
            1 if replicas is None else int(replicas),
            tuple(str(one.get("claimName") or one["name"]) for one in named if one),
        )

    def has(self, pod: Object) -> bool:
        """Whether a pod is of this very template, as far as its marks tell."""
        annotations = pod["metadata"].get("annotations") or {}
        return all(annotations.get(key) == value for key, value in self.marks)


@dataclass(frozen=True)
class MLServiceRollout(Rollout):
    """Ready when its condition says so, and enough pods of every release are of this manifest.

    Where the manifest marks no pods, nothing tells them from earlier ones: the condition alone
    is believed.
    """

    @cached_property
    def releases(self) -> tuple[Release, ...]:
        """The releases that the manifest has."""
        return tuple(Release.of(release) for release in self.manifest["spec"]["releases"])

    @property
    def glance(self) -> tuple[Question, ...]:
        """The service, and the pods of each release."""
        return (self.ref, *self.pods)

    @property
    def pods(self) -> tuple[Question, ...]:
        """Those of each release."""
        return tuple(self._pods("v1", "Pod", release) for release in self.releases)

    def is_ready(self, found: Sequence[Found]) -> bool:
        """The condition ``Ready`` is True, and ready pods have the marks of the manifest."""
        live = only(found[0])
        if live is None or condition(live, "Ready").get("status") != "True":
            return False
        states = {one.get("name"): one for one in status(live).get("releases") or ()}
        return all(
            (states.get(release.name) or {}).get("ready", True)
            and len(_ready(release, many(answer))) >= release.replicas
            for release, answer in zip(self.releases, found[1:], strict=True)
        )

    def progress(self, found: Sequence[Found]) -> str:
        """How many replicas of this manifest are ready."""
        if only(found[0]) is None:
            return "no"
        return f"{self._done(found[1:])} of {self._total} replicas ready"

    @cached_property
    def questions(self) -> tuple[Question, ...]:
        """With the replica sets of each release, and the claims that it uses."""
        names = dict.fromkeys(claim for release in self.releases for claim in release.claims)
        return (
            *self.glance,
            *(self._pods("apps/v1", "ReplicaSet", release) for release in self.releases),
            *(Ref("v1", "PersistentVolumeClaim", one, self.ref.namespace) for one in names),
        )

    def state(self, found: Sequence[Found], events: Sequence[Object] = ()) -> RolloutState:
        """Judge by the pods that have the manifest's marks, and by what the service says."""
        live = only(found[0])
        if live is None:
            return missing(self.ref)
        count = len(self.releases)
        pods, sets, rest = found[1 : count + 1], found[count + 1 : 2 * count + 1], 2 * count + 1
        new: list[Object] = []
        old: list[Object] = []
        troubles: list[Trouble] = []
        for release, answer, made in zip(self.releases, pods, sets, strict=True):
            for pod in newest_first(many(answer)):
                (new if release.has(pod) else old).append(pod)
            newest = newest_first(many(made))[:1]
            troubles += [trouble for one in newest for trouble in refusals(one, events)]
        used = claims(self.questions[rest:], found[rest:])
        seen = Parts(tuple(new), tuple(old), used, tuple(events)).report()
        total, done = self._total, self._done(pods)
        return RolloutState(
            self.is_ready(found[: count + 1]),
            done,
            total,
            f"{done} of {total} replicas ready" + (f", {len(old)} old to go" if old else ""),
            (*seen.lines, *_lines(live)),
            (*troubles, *seen.troubles, *self._complaints(live, events)),
            seen.unready,
        )

    @property
    def _total(self) -> int:
        return sum(release.replicas for release in self.releases)

    def _done(self, pods: Sequence[Found]) -> int:
        return sum(
            min(len(_ready(release, many(answer))), release.replicas)
            for release, answer in zip(self.releases, pods, strict=True)
        )

    def _pods(self, api: str, kind: str, release: Release) -> Question:
        return self._select(api, kind, ((SERVICE, f"{self.ref.name}-predict-{release.name}"),))

    def _complaints(self, live: Object, events: Sequence[Object]) -> list[Trouble]:
        """What the platform itself says. It may speak of what was there before."""
        if condition(live, "Paused").get("status") == "True":
            return [
                Trouble(
                    "paused",
                    str(self.ref),
                    f"{self.ref} is paused",
                    "let it run again in the platform's console",
                    "little",
                )
            ]
        return [
            Trouble("platform", str(self.ref), f"the platform says: {words}", hope="some")
            for words in _words(live) or _event_words(live, events)
        ]


def _ready(release: Release, pods: Sequence[Object]) -> list[Object]:
    return [pod for pod in pods if release.has(pod) and is_ready(pod)]


def _lines(live: Object) -> list[str]:
    return [f"the platform says: {words}" for words in _words(live)]


def _words(live: Object) -> list[str]:
    """Why it is not ready, by its condition and its releases."""
    ready = condition(live, "Ready")
    said_so = [(None, ready)] if ready.get("status") == "False" else []
    said_so += [
        (one.get("name"), one)
        for one in status(live).get("releases") or ()
        if not one.get("ready") and one.get("reason")
    ]
    found: list[str] = []
    for release, one in said_so:
        words = ": ".join(one_line(str(one[key])) for key in ("reason", "message") if one.get(key))
        if words:
            found.append(f"release {release}: {words}" if release else words)
    return found


def _event_words(live: Object, events: Sequence[Object]) -> list[str]:
    """The latest warning about the service itself, while it is not ready."""
    if condition(live, "Ready").get("status") == "True":
        return []
    warnings = [event for event in events_of(events, live) if event.get("type") == "Warning"]
    event = latest(warnings, *(str(warning.get("reason")) for warning in warnings[:1]))
    return [said(event)] if event else []
