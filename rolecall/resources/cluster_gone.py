"""An object of a cluster that is there no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rolecall.cluster.ending import until_gone
from rolecall.cluster.objects import Found, Ref
from rolecall.cluster.resource import ClusterResource, Look
from rolecall.cluster.target import ClusterTarget, cluster_of
from rolecall.resource import Apply, Call, Observed
from rolecall.resources.cluster_object import WORKLOADS
from rolecall.targets import Target

if TYPE_CHECKING:
    from rolecall.cluster.api import Right


@dataclass(frozen=True)
class ClusterGone(ClusterResource):
    """``ref`` is not there, nor what belongs to it (its pods, say)."""

    kind: ClassVar[str] = "gone"

    ref: Ref

    @property
    def name(self) -> str:
        """The object's name."""
        return self.ref.name

    @property
    def id(self) -> str:
        """The identity that it had while it was there."""
        return self.ref.id

    def look(self) -> Look:
        """Read it."""
        return Look((self.ref,), _answer)

    def desired(self) -> Mapping[str, str]:
        """Gone."""
        return {"removed": "yes"}

    def apply(self, observed: Observed) -> Apply:
        """Delete it and wait until it has gone."""

        def run(target: Target) -> None:
            delete(cluster_of(target), self.ref)

        return Call(run, f"delete {self.ref}")

    def rights(self, observed: Observed) -> tuple[Right, ...]:
        """To delete it, and to see that it has gone."""
        from rolecall.cluster.api import Right

        return tuple(Right.on(verb, self.ref) for verb in ("get", "delete"))

    def reads(self) -> frozenset[str]:
        """Itself."""
        return self.ref.claims

    def writes(self) -> frozenset[str]:
        """Itself."""
        return self.reads()


def _answer(found: Sequence[Found]) -> Observed:
    return Observed.of({"removed": "no" if found[0] else "yes"})


def delete(cluster: ClusterTarget, ref: Ref) -> None:
    """Delete an object with all that belongs to it, and wait until it has gone.

    Raises:
        RolecallError: it was still there three minutes later.
    """
    cluster.api.delete(ref, foreground=ref.kind in WORKLOADS)
    until_gone(cluster, ref)
