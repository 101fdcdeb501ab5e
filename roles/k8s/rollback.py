"""``rollback`` in a cluster: apply again what was in service before."""

from __future__ import annotations

from rolecall.api import Resource, RolecallError
from rolecall.cluster.run import Opened
from rolecall.cluster.target import ClusterTarget
from rolecall.resources.cluster_history import ClusterHistory, manifests_of, previous, revisions
from rolecall.resources.cluster_object import ClusterObject
from roles.k8s.role import rolled_out
from roles.k8s.settings import K8s


def cluster_rollback(target: ClusterTarget, opened: Opened) -> list[tuple[str, Resource]]:
    """The objects of the deployment before the present one, and that they are ready.

    Raises:
        RolecallError: there is none.
    """
    settings = opened.host.settings(K8s)
    found = target.api.read([revisions(settings.name, target.namespace)])[0]
    earlier = previous(found)
    if earlier is None:
        raise RolecallError(
            f"{target.name}: {settings.name} has served nothing else before that it could go back "
            "to",
            "deployments that became ready are remembered, from the second one on",
        )
    manifests = manifests_of(earlier)
    resources: list[Resource] = [ClusterObject(manifest) for manifest in manifests]
    resources += rolled_out(opened.host, manifests)
    resources.append(ClusterHistory(settings.name, target.namespace, tuple(manifests)))
    return [("k8s", resource) for resource in resources]
