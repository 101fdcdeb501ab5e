"""The objects of a cluster, as its API server has them, and questions about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

#: An object as JSON: what ``kubectl get -o json`` shows.
Object: TypeAlias = Mapping[str, Any]

#: Under this name Rolecall owns the fields that it applies (server-side apply).
MANAGER = "rolecall"

#: The labels of everything that Rolecall makes in a cluster (kubernetes.io, recommended labels).
MANAGED_BY = "app.kubernetes.io/managed-by"
INSTANCE = "app.kubernetes.io/instance"


@dataclass(frozen=True)
class Ref:
    """What names one object; ``namespace`` is empty for what belongs to none."""

    api_version: str
    kind: str
    name: str
    namespace: str = ""

    @classmethod
    def of(cls, thing: Object) -> Ref:
        """The name of an object or a manifest."""
        metadata = thing["metadata"]
        return cls(
            thing["apiVersion"], thing["kind"], metadata["name"], metadata.get("namespace", "")
        )

    @property
    def group(self) -> str:
        """The API group; empty for the core."""
        return self.api_version.rpartition("/")[0]

    @property
    def id(self) -> str:
        """The identity of its resource, such as ``deployment:llm``."""
        return f"{self.kind.lower()}:{self.name}"

    @property
    def claims(self) -> frozenset[str]:
        """What a resource that reads or writes it claims."""
        return frozenset({f"object:{self.api_version}/{self}"})

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}" if self.name else self.kind


@dataclass(frozen=True)
class Selection:
    """All objects of a kind in a namespace that have certain labels.

    Attributes:
        optional: where the cluster does not allow to list them, there are none.
    """

    api_version: str
    kind: str
    namespace: str
    labels: tuple[tuple[str, str], ...] = ()
    optional: bool = False

    def __str__(self) -> str:
        labels = ",".join(f"{name}={value}" for name, value in self.labels)
        return f"{self.kind} with {labels}" if labels else f"every {self.kind}"


Question: TypeAlias = Ref | Selection

#: What the cluster says to a question: of a :class:`Ref` the object, or None where there is none;
#: of a :class:`Selection` the objects, none where the cluster does not know the kind.
Found: TypeAlias = Object | tuple[Object, ...] | None


def managed(instance: str) -> tuple[tuple[str, str], ...]:
    """The labels of what Rolecall has made for an instance."""
    return ((MANAGED_BY, MANAGER), (INSTANCE, instance))
