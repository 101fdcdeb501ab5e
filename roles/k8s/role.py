"""Role ``k8s``: the service on a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from rolecall.api import (
    ClusterHistory,
    ClusterLeftovers,
    ClusterObject,
    ClusterPrepared,
    ClusterReady,
    Host,
    Resource,
    Skip,
    role,
)
from rolecall.cluster.follow import follow_job
from rolecall.cluster.objects import Object, Ref
from rolecall.resources.cluster_object import WORKLOADS
from roles.k8s.manifests import Manifests, manifests
from roles.k8s.settings import K8s
from roles.k8s.warning import warning
from roles.server.settings import Server

#: All that settings of this role may have made: what is looked for when something is left over.
KINDS = (
    ("apps/v1", "Deployment"),
    ("tensorstack.dev/v1beta1", "MLService"),
    ("tensorstack.dev/v1beta1", "MLServiceRuntime"),
    ("batch/v1", "Job"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("policy/v1", "PodDisruptionBudget"),
    ("monitoring.coreos.com/v1", "ServiceMonitor"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "PersistentVolumeClaim"),
)

#: Seconds between a rollout's own patience with a pod and this role's with the rollout: images
#: are pulled meanwhile.
_PULL = 1200


@role(K8s, on="cluster")
def k8s(host: Host, settings: K8s) -> Iterator[Resource | Skip]:
    """Fill the volume, run the pods, wait until they serve, and clear away what they replace."""
    wanted, namespace = manifests(host), host.fact("k8s_namespace")
    if said := warning(host):
        yield Skip("api-key:k8s", f"warning: {said}")
    for thing in wanted.supplies():
        yield ClusterObject(thing, secret=thing["kind"] == "Secret")
    if wanted.prepare:
        yield _prepared(wanted, wanted.prepare, settings, namespace)
    yield from (ClusterObject(thing) for thing in wanted.workload)
    yield from rolled_out(host, wanted.workload)
    served = (*([wanted.config] if wanted.config else []), *wanted.workload)
    yield ClusterHistory(settings.name, namespace, served)
    yield ClusterLeftovers(
        settings.name,
        namespace,
        KINDS,
        frozenset(map(Ref.of, wanted.all())),
        delete_data=bool(host.fact("k8s_delete_data")),
    )


def rolled_out(host: Host, workload: Sequence[Object]) -> list[Resource]:
    """That what runs has become ready."""
    timeout = host.settings(Server).ready_timeout + _PULL
    runs = [thing for thing in workload if thing["kind"] in WORKLOADS]
    return [ClusterReady(thing, timeout=timeout) for thing in runs]


def _prepared(wanted: Manifests, job: Object, settings: K8s, namespace: str) -> ClusterPrepared:
    claim = Ref("v1", "PersistentVolumeClaim", wanted.claim, namespace)
    follow = partial(follow_job, timeout=float(settings.prepare.deadline))
    return ClusterPrepared(claim, wanted.prepare_digest, job, follow)
