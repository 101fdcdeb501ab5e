"""A workload whose rollout is over: everything is up to date and takes requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from rolecall.cluster.objects import Found, Object, Ref, Selection
from rolecall.cluster.resource import ClusterResource, Look
from rolecall.cluster.rollout import Rollout, rollout_of
from rolecall.cluster.target import cluster_of
from rolecall.cluster.waiting import wait
from rolecall.resource import Apply, Call, Observed
from rolecall.targets import Target

if TYPE_CHECKING:
    from rolecall.cluster.api import Right


@dataclass(frozen=True)
class ClusterReady(ClusterResource):
    """The workload of ``manifest``, a Deployment or an MLService, has become ready.

    To apply it is to wait, saying what happens meanwhile; it ends early where waiting is
    pointless, and says why.

    Attributes:
        manifest: the workload as it is applied.
        timeout: seconds after which it has taken too long.
        patience: seconds that a trouble which may heal by itself is given, such as a node that
            is full.
    """

    kind: ClassVar[str] = "ready"

    manifest: Object
    timeout: float = 1800.0
    patience: float = 120.0

    @property
    def name(self) -> str:
        """The workload."""
        return str(self._rollout.ref)

    def look(self) -> Look:
        """Read the workload, and the pods of one that does not speak for them."""
        return Look(self._rollout.glance, self._answer)

    def desired(self) -> Mapping[str, str]:
        """Ready, as the manifest has it now."""
        return {"ready": "yes"}

    def apply(self, observed: Observed) -> Apply:
        """Wait for it."""

        def run(target: Target) -> None:
            wait(cluster_of(target), self._rollout, timeout=self.timeout, patience=self.patience)

        return Call(run, f"wait for {self.name}")

    def rights(self, observed: Observed) -> tuple[Right, ...]:
        """To see what it is made of, what is reported of it, and what its containers print."""
        from rolecall.cluster.api import Right

        asked = [*self._rollout.questions, self._rollout.events]
        rights = [
            Right.on("list", Ref(one.api_version, one.kind, "", one.namespace))
            if isinstance(one, Selection)
            else Right.on("get", one)
            for one in asked
        ]
        log = Right.on("get", Ref("v1", "Pod", "", self._rollout.ref.namespace), "log")
        return tuple(dict.fromkeys([*rights, log]))

    def reads(self) -> frozenset[str]:
        """The workload."""
        return self._rollout.ref.claims

    def writes(self) -> frozenset[str]:
        """Nothing but that it is ready."""
        return frozenset({f"ready:{self.name}"})

    @cached_property
    def _rollout(self) -> Rollout:
        return rollout_of(self.manifest)

    def _answer(self, found: Sequence[Found]) -> Observed:
        if self._rollout.is_ready(found):
            return Observed.of({"ready": "yes"})
        return Observed.of({"ready": self._rollout.progress(found)})
