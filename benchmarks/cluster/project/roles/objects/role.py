"""The role of the benchmark."""

from collections.abc import Iterator

from rolecall.api import Host, Resource, Settings, role
from rolecall.cluster.objects import Ref
from rolecall.resources.cluster_leftovers import ClusterLeftovers
from rolecall.resources.cluster_object import WORKLOADS, ClusterObject
from roles.objects.manifests import INSTANCE, manifests


class Objects(Settings):
    """How much there is of everything."""

    size: int
    """Objects in all, a multiple of ten."""


@role(Objects, on="cluster")
def objects(host: Host, settings: Objects) -> Iterator[Resource]:
    """All manifests, what runs something last, and nothing else of this instance."""
    namespace = host.fact("k8s_namespace")
    things = manifests(settings.size)
    for thing in things:
        thing["metadata"]["namespace"] = namespace
    for thing in sorted(things, key=lambda thing: thing["kind"] in WORKLOADS):
        yield ClusterObject(thing)
    wanted = frozenset(map(Ref.of, things))
    kinds = tuple(sorted({(ref.api_version, ref.kind) for ref in wanted}))
    yield ClusterLeftovers(INSTANCE, namespace, kinds, wanted)
