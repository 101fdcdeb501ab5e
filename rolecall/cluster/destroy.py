"""Undo in a cluster: what carries an instance's labels, what runs first, data only if asked."""

from __future__ import annotations

from rolecall.cluster.objects import Ref
from rolecall.cluster.run import Opened
from rolecall.cluster.target import ClusterTarget
from rolecall.destroy import ROLE
from rolecall.resource import Resource
from rolecall.resources.cluster_gone import ClusterGone
from rolecall.resources.cluster_leftovers import DATA, ClusterLeftovers
from rolecall.resources.cluster_object import WORKLOADS


def cluster_removals(target: ClusterTarget, opened: Opened) -> list[tuple[str, Resource]]:
    """The objects of the instances that the roles declare, in the order in which they go.

    Claims of volumes are among them only where the target's ``delete_data`` says so.
    """
    found: list[Ref] = []
    for step in opened.steps:
        if isinstance(step.resource, ClusterLeftovers):
            everything = step.resource.everything(delete_data=target.delete_data)
            things = everything.left_over(target.api.read(everything.look().questions))
            found += [Ref.of(thing) for thing in things]
    found.sort(key=lambda ref: (ref.kind not in WORKLOADS, ref.kind == DATA))
    return [(ROLE, ClusterGone(ref)) for ref in found]
