"""A namespace of a cluster as checks see it: everything can be looked at, nothing changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rolecall.cluster.errors import NotFound, not_served
from rolecall.cluster.kinds import api_version
from rolecall.cluster.objects import Object, Question, Ref, Selection
from rolecall.cluster.resource import ClusterResource
from rolecall.cluster.rollout import RolloutState, many, rollout_of
from rolecall.cluster.run import brief
from rolecall.cluster.secret import is_secret, masked
from rolecall.cluster.target import ClusterTarget
from rolecall.errors import ConfigError
from rolecall.loop.plan import mask
from rolecall.resource import Change, Resource, Skip, diff


class ClusterView:
    """What is in one namespace. Values of Secrets are digests.

    Every question is asked when it is asked: nothing is remembered.

    Attributes:
        name: of the cluster in the inventory.
    """

    def __init__(self, target: ClusterTarget) -> None:
        self.name = target.name
        self._api = target.api
        self._namespace = target.namespace

    @property
    def namespace(self) -> str:
        """The namespace."""
        return self._namespace

    def get(self, kind: str, name: str, version: str = "") -> Object:
        """An object as JSON: what ``kubectl get -o json`` shows.

        Args:
            kind: such as ``Service``.
            name: of the object.
            version: of the kind's API, such as ``tensorstack.dev/v1beta1``; not needed for kinds
                that every cluster has.

        Raises:
            NotFound: there is none.
            RolecallError: it may not be read, or the cluster does not know the kind.
        """
        found = self.find(kind, name, version)
        if found is None:
            ref = self._ref(kind, name, version)
            if not self._api.serves(ref.api_version, kind):
                raise not_served(ref)
            raise NotFound(
                f"there is no {ref} in namespace {self._namespace}",
                f"./inv plan --hosts {self.name} shows what ./inv deploy --hosts {self.name} makes",
            )
        return found

    def find(self, kind: str, name: str, version: str = "") -> Object | None:
        """The same, or None where there is none."""
        (found,) = self._api.read([self._ref(kind, name, version)])
        return _shown(found) if isinstance(found, Mapping) else None

    def list(
        self, kind: str, labels: Mapping[str, str] | None = None, version: str = ""
    ) -> tuple[Object, ...]:
        """All objects of a kind that have certain labels.

        Raises:
            RolecallError: they may not be listed.
        """
        wanted = tuple(sorted((labels or {}).items()))
        question = Selection(
            self._ref(kind, "", version).api_version, kind, self._namespace, wanted
        )
        return self._listed([question])

    def pods(self, workload: Object) -> tuple[Object, ...]:
        """The pods of a workload (its manifest, of a kind whose rollout is known)."""
        return self._listed(rollout_of(workload).pods)

    def rollout(self, workload: Object) -> RolloutState:
        """How far a workload is, and what keeps it from being as its manifest says."""
        rollout = rollout_of(workload)
        *found, events = self._api.read([*rollout.questions, rollout.events])
        return rollout.state(found, events if isinstance(events, tuple) else ())

    def differences(self, wanted: Iterable[Resource | Skip]) -> dict[str, tuple[Change, ...]]:
        """What a deploy would change, by id: the probes of the deploy, compared as it does."""
        resources = [one for one in wanted if isinstance(one, ClusterResource)]
        looks = [one.look() for one in resources]
        found = iter(self._api.read([question for look in looks for question in look.questions]))
        changes: dict[str, tuple[Change, ...]] = {}
        for resource, look in zip(resources, looks, strict=True):
            observed = look.answer([next(found) for _ in look.questions])
            if differs := brief(diff(resource.desired(), observed)):
                changes[resource.id] = mask(differs) if resource.secret else differs
        return changes

    def _listed(self, questions: Sequence[Question]) -> tuple[Object, ...]:
        answers = self._api.read(questions)
        return tuple(_shown(one) for found in answers for one in many(found))

    def _ref(self, kind: str, name: str, version: str) -> Ref:
        if known := version or api_version(kind):
            return Ref(known, kind, name, self._namespace)
        raise ConfigError(
            f"{kind} is no kind that every cluster has: of which API version is it?",
            f'cluster.get("{kind}", name, "GROUP/VERSION"); kubectl api-resources lists them',
        )


def _shown(thing: Object) -> dict[str, Any]:
    return masked(thing) if is_secret(thing) else dict(thing)
