"""What has been in service: the manifests of earlier deployments, to go back to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from rolecall.cluster.objects import INSTANCE, MANAGED_BY, MANAGER, Found, Object, Ref, Selection
from rolecall.cluster.resource import ClusterResource, Look
from rolecall.cluster.target import cluster_of
from rolecall.resource import Apply, Call, Observed
from rolecall.targets import Target

if TYPE_CHECKING:
    from rolecall.cluster.api import Right

#: Kubernetes' own kind for such records: its data cannot be changed, its number can.
_API, _KIND = "apps/v1", "ControllerRevision"


def revisions(instance: str, namespace: str) -> Selection:
    """The question for the deployments of an instance that became ready."""
    return Selection(_API, _KIND, namespace, ((MANAGED_BY, MANAGER), (INSTANCE, instance)))


def newest_first(found: Found) -> list[Object]:
    """Revisions in the order in which they were in service last."""
    things = found if isinstance(found, tuple) else ()
    return sorted(things, key=lambda thing: int(thing["revision"]), reverse=True)


def manifests_of(revision: Object) -> list[Object]:
    """What was applied."""
    return list(revision.get("data", {}).get("manifests", []))


def protected(found: Found, count: int) -> frozenset[Ref]:
    """The newest ``count`` revisions and one more, the present one, with all that they name."""
    kept = newest_first(found)[: count + 1]
    names = (Ref.of(manifest) for revision in kept for manifest in manifests_of(revision))
    return frozenset([*map(Ref.of, kept), *names])


@dataclass(frozen=True)
class ClusterHistory(ClusterResource):
    """The newest record of ``instance`` is of ``manifests``."""

    kind: ClassVar[str] = "history"

    instance: str
    namespace: str
    manifests: tuple[Object, ...]

    @property
    def name(self) -> str:
        """The instance."""
        return self.instance

    def look(self) -> Look:
        """Read the records."""
        return Look((revisions(self.instance, self.namespace),), self._answer)

    def desired(self) -> Mapping[str, str]:
        """The newest is this one."""
        return {"latest": self._ref.name}

    def apply(self, observed: Observed) -> Apply:
        """Record it; of one that was recorded before, renew the number."""
        number = int(observed.get("number", "0")) + 1
        is_known = observed.get("known") == "yes"

        def run(target: Target) -> None:
            api = cluster_of(target).api
            record = api.read([self._ref])[0] if is_known else None
            if isinstance(record, Mapping):
                # Not a patch: the server would write the data anew, and finds that it has changed.
                api.replace({**record, "revision": number})
            else:
                api.create(self._record(number))

        return Call(run, "record what is in service")

    def rights(self, observed: Observed) -> tuple[Right, ...]:
        """To create a record, or to read one and renew it."""
        from rolecall.cluster.api import Right

        return tuple(Right.on(verb, self._ref) for verb in ("get", "create", "update"))

    def reads(self) -> frozenset[str]:
        """The records."""
        return frozenset({f"history:{self.instance}"})

    def writes(self) -> frozenset[str]:
        """The records, which keep what they name from being left over."""
        return frozenset({f"history:{self.instance}", f"leftovers:{self.instance}"})

    @cached_property
    def _ref(self) -> Ref:
        text = json.dumps(self.manifests, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:10]
        return Ref(_API, _KIND, f"{self.instance}-{digest}", self.namespace)

    def _record(self, number: int) -> dict[str, Any]:
        labels = {MANAGED_BY: MANAGER, INSTANCE: self.instance}
        return {
            "apiVersion": _API,
            "kind": _KIND,
            "metadata": {"name": self._ref.name, "namespace": self.namespace, "labels": labels},
            "revision": number,
            "data": {"manifests": list(self.manifests)},
        }

    def _answer(self, found: Sequence[Found]) -> Observed:
        known = newest_first(found[0])
        names = [str(thing["metadata"]["name"]) for thing in known]
        return Observed.of(
            {
                "latest": names[0] if names else "nothing",
                "number": str(known[0]["revision"]) if known else "0",
                "known": "yes" if self._ref.name in names else "no",
            }
        )


def previous(found: Found) -> Object | None:
    """The deployment that was in service before the present one."""
    return next(iter(newest_first(found)[1:]), None)
