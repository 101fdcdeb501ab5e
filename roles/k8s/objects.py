"""What all manifests have in common: their names, labels, and digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rolecall.api import Host
from rolecall.cluster.objects import INSTANCE, MANAGED_BY, MANAGER
from roles.k8s.labels import COMPONENT
from roles.k8s.settings import K8s

#: What the objects are of (kubernetes.io, recommended labels).
NAME = "app.kubernetes.io/name"
APPLICATION = "triton"

#: Hexadecimal digits of a digest in a name.
SHORT = 10


def digest(value: Any) -> str:
    """A sha256 of plain data, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Maker:
    """Makes the manifests of one service."""

    name: str
    namespace: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @classmethod
    def of(cls, host: Host) -> Maker:
        """The one for ``host``; without a known namespace, manifests name none."""
        settings = host.settings(K8s)
        return cls(settings.name, host.fact("k8s_namespace"), settings.labels, settings.annotations)

    def all_labels(self, component: str) -> dict[str, str]:
        """The labels of an object."""
        return {**self.labels, **self.selector(component), MANAGED_BY: MANAGER}

    def selector(self, component: str) -> dict[str, str]:
        """The labels that tell the pods of a component from all others. They never change."""
        return {NAME: APPLICATION, INSTANCE: self.name, COMPONENT: component}

    def manifest(
        self,
        api_version: str,
        kind: str,
        name: str,
        component: str,
        body: Mapping[str, Any],
        annotations: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """An object. ``body`` is what it has besides its type and metadata."""
        metadata: dict[str, Any] = {"name": name}
        if self.namespace:
            metadata["namespace"] = self.namespace
        metadata["labels"] = self.all_labels(component)
        if noted := {**self.annotations, **(annotations or {})}:
            metadata["annotations"] = noted
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **body}


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` without those that say nothing: empty ones and None, but not 0 and False."""
    return {
        key: value
        for key, value in values.items()
        if value is not None and value != "" and value != {} and value != [] and value != ()
    }
