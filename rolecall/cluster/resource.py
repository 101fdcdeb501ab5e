"""What the resources of clusters have besides the contract of every resource."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rolecall.cluster.objects import Found, Question
from rolecall.errors import RolecallError
from rolecall.resource import Observed, Probe, Resource

if TYPE_CHECKING:
    from rolecall.cluster.api import Right
    from rolecall.cluster.target import ClusterTarget


@dataclass(frozen=True)
class Look:
    """The probe of a cluster: read-only questions about objects, and what the answers come to.

    The questions of all resources are asked together. ``answer`` gets what was found, in their
    order, and asks nothing itself.
    """

    questions: tuple[Question, ...]
    answer: Callable[[Sequence[Found]], Observed]


@dataclass(frozen=True)
class ClusterResource(Resource):
    """A resource of a cluster: it looks at objects, and is applied by a :class:`Call`."""

    @abstractmethod
    def look(self) -> Look:
        """The question whose answer is compared with :meth:`desired`."""

    def probe(self) -> Probe:
        """There is no shell to ask. Raises ``RolecallError``."""
        raise RolecallError(f"{self.id} is for clusters: a host cannot have it")

    def rights(self, observed: Observed) -> tuple[Right, ...]:
        """What its apply needs to be allowed: all of it is checked before anything is written."""
        return ()

    def rehearse(self, target: ClusterTarget) -> tuple[str, ...]:
        """Ask the cluster what the change would come to: lines of a unified diff.

        Raises:
            RolecallError: the cluster would refuse it.
        """
        return ()

    @property
    def beside(self) -> str:
        """What it is applied at the same time with: its neighbours that say the same.

        Empty is with nothing.
        """
        return ""
