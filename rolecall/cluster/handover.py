"""Who sets the number of a workload's pods: handed to an autoscaler, and taken back.

A field that its only owner no longer applies gets its default, and one that somebody else owns
is a conflict (kubernetes.io, server-side apply, "Transferring ownership"). So the ownership is
given up first, and the value left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from rolecall.cluster.ending import until_gone
from rolecall.cluster.errors import Conflict
from rolecall.cluster.objects import INSTANCE, MANAGER, Object, Ref, Selection, managed

if TYPE_CHECKING:
    from rolecall.cluster.api import Api
    from rolecall.cluster.target import ClusterTarget

#: The field.
REPLICAS = "spec.replicas"

#: Whether an entry of ``managedFields`` of a workload is one that is meant.
_Whose: TypeAlias = "Callable[[Object, Mapping[str, Any]], bool]"

#: Attempts, since controllers write their status into the same object meanwhile.
_TRIES = 5


def give_up_replicas(api: Api, ref: Ref) -> None:
    """Own the number of a workload's pods no longer, unless it is none; raises as :func:`_let_go`.

    An autoscaler never begins with none (kubernetes.io, "Implicit maintenance-mode
    deactivation"), so that becomes the default.
    """
    _let_go(api, ref, lambda live, entry: bool(live["spec"].get("replicas")) and _is_ours(entry))


def take_back_replicas(cluster: ClusterTarget, workload: Object) -> None:
    """Delete the autoscaler of ours that sets them, and let nobody own what it has set.

    Raises:
        RolecallError: it cannot be deleted, or others keep on writing the workload.
    """
    ref = Ref.of(workload)
    autoscalers = _autoscalers(cluster.api, workload)
    for autoscaler in autoscalers:
        cluster.api.delete(autoscaler)
        until_gone(cluster, autoscaler)
    if autoscalers:
        _let_go(cluster.api, ref, lambda _, entry: entry.get("subresource") == "scale")


def is_scaled_by_us(api: Api, workload: Object) -> bool:
    """Whether an autoscaler of ours sets the number of a workload's pods."""
    return bool(_autoscalers(api, workload))


def _autoscalers(api: Api, workload: Object) -> list[Ref]:
    ref = Ref.of(workload)
    instance = (workload["metadata"].get("labels") or {}).get(INSTANCE)
    if not instance:
        return []
    kind = ("autoscaling/v2", "HorizontalPodAutoscaler")
    found = api.read([Selection(*kind, ref.namespace, managed(instance), optional=True)])[0]
    return [
        Ref.of(one)
        for one in (found if isinstance(found, tuple) else ())
        if (one["spec"]["scaleTargetRef"]["kind"], one["spec"]["scaleTargetRef"]["name"])
        == (ref.kind, ref.name)
    ]


def _let_go(api: Api, ref: Ref, whose: _Whose) -> None:
    """Take the field out of what some own. Nothing is written where they do not.

    Raises:
        Conflict: others keep on writing the object.
    """
    for left in range(_TRIES - 1, -1, -1):
        live = api.read([ref])[0]
        owned = _without(live, whose) if isinstance(live, Mapping) else None
        if owned is None:
            return
        try:
            api.merge(ref, {"metadata": owned})
        except Conflict:
            if not left:
                raise
        else:
            return


def _is_ours(entry: Mapping[str, Any]) -> bool:
    return entry.get("manager") == MANAGER and entry.get("operation") == "Apply"


def _without(live: Object, whose: _Whose) -> dict[str, Any] | None:
    """``metadata`` in which those own the field no longer; None where they do not anyway.

    It is for the very version that was read.
    """
    entries: list[Any] = []
    found = False
    for entry in live["metadata"].get("managedFields") or ():
        spec = (entry.get("fieldsV1") or {}).get("f:spec") or {}
        if not whose(live, entry) or "f:replicas" not in spec:
            entries.append(entry)
            continue
        found = True
        kept = {name: child for name, child in spec.items() if name != "f:replicas"}
        fields = {name: child for name, child in entry["fieldsV1"].items() if name != "f:spec"}
        if kept:
            fields["f:spec"] = kept
        if fields:
            entries.append({**entry, "fieldsV1": fields})
    if not found:
        return None
    return {"managedFields": entries, "resourceVersion": live["metadata"]["resourceVersion"]}
