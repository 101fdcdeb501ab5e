"""A namespace of the cluster, and runs on it with resources of a test's own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rolecall.cluster.api import Api
from rolecall.cluster.objects import INSTANCE, MANAGED_BY, MANAGER, Ref
from rolecall.cluster.target import ClusterTarget
from rolecall.resource import Resource
from rolecall.resources.cluster_leftovers import ClusterLeftovers
from rolecall.resources.cluster_object import ClusterObject
from rolecall.testing import Result, converge
from tests.rig.kubernetes.cluster import CONTEXT, Cluster

KINDS = (
    ("apps/v1", "Deployment"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "PersistentVolumeClaim"),
)


@dataclass
class Place:
    """A namespace, and a controller's folder."""

    cluster: Cluster
    namespace: str
    folder: Path
    kubeconfig: Path | None = None
    context: str = CONTEXT

    def api(self) -> Api:
        kubeconfig = str(self.kubeconfig or self.cluster.kubeconfig)
        return Api(self.context, kubeconfig, self.namespace, self.folder / "cache")

    def target(self, **more: Any) -> ClusterTarget:
        return ClusterTarget("cluster", self.api(), self.namespace, **more)

    def run(
        self,
        *wanted: Resource,
        check: bool = False,
        diff: bool = False,
        lock_wait: float = 0.0,
        **more: Any,
    ) -> Result:
        return converge(
            list(wanted),
            self.folder,
            target=self.target(**more),
            check=check,
            diff=diff,
            lock_wait=lock_wait,
        )

    def thing(self, kind: str, name: str, version: str = "v1", **body: Any) -> dict[str, Any]:
        labels = {MANAGED_BY: MANAGER, INSTANCE: "llm"}
        metadata = {"name": name, "namespace": self.namespace, "labels": labels}
        return {"apiVersion": version, "kind": kind, "metadata": metadata, **body}

    def config(self, name: str = "one", **data: str) -> dict[str, Any]:
        return self.thing("ConfigMap", name, data=data or {"a": "1"})

    def deployment(self, replicas: int = 0, image: str = "example.test/a:1") -> dict[str, Any]:
        labels = {"app": "llm"}
        container = {"name": "main", "image": image, "ports": [{"containerPort": 8000}]}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        return self.thing("Deployment", "llm", "apps/v1", spec=spec)

    def claim(self, size: str = "1Gi", **spec: Any) -> dict[str, Any]:
        storage = {"resources": {"requests": {"storage": size}}}
        spec = {"accessModes": ["ReadWriteOnce"], **storage, **spec}
        return self.thing("PersistentVolumeClaim", "data", spec=spec)

    def leftovers(self, *wanted: dict[str, Any], delete_data: bool = False) -> ClusterLeftovers:
        refs = frozenset(map(Ref.of, wanted))
        return ClusterLeftovers("llm", self.namespace, KINDS, refs, delete_data=delete_data)

    def kubectl(self, *arguments: str, **more: Any) -> str:
        return self.cluster.kubectl("-n", self.namespace, *arguments, **more)

    def get(self, what: str) -> dict[str, Any]:
        return dict(json.loads(self.kubectl("get", what, "-o", "json")))

    def names(self, what: str) -> set[str]:
        return set(self.kubectl("get", what, "-o", "name").split())


def objects(manifests: Sequence[dict[str, Any]]) -> list[ClusterObject]:
    return [ClusterObject(one) for one in manifests]
