"""Letting go of a field without changing it: whoever comes next finds its value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rolecall.cluster.errors import Conflict
from rolecall.cluster.objects import MANAGER, Object, Ref

if TYPE_CHECKING:
    from rolecall.cluster.api import Api

#: Attempts, since controllers write their status into the same object meanwhile.
_TRIES = 5


def let_go(api: Api, ref: Ref, path: Sequence[str]) -> None:
    """Own a field no longer, and leave its value.

    An apply without it would remove the value (kubernetes.io, server-side apply, "Transferring
    ownership"). Nothing is written where it is not owned.

    Raises:
        Conflict: others keep on writing the object.
    """
    for left in range(_TRIES - 1, -1, -1):
        live = api.read([ref])[0]
        owned = without(live, path) if isinstance(live, Mapping) else None
        if owned is None:
            return
        try:
            api.merge(ref, {"metadata": owned})
        except Conflict:
            if not left:
                raise
        else:
            return


def without(live: Object, path: Sequence[str]) -> dict[str, Any] | None:
    """``metadata`` that no longer says that Rolecall owns a field; None where it does not.

    It is for the very version that was read.
    """
    entries: list[Any] = []
    found = False
    for entry in live["metadata"].get("managedFields") or ():
        ours = entry.get("manager") == MANAGER and entry.get("operation") == "Apply"
        tree = _pruned(entry.get("fieldsV1") or {}, path) if ours else None
        found = found or tree is not None
        entries.append(entry if tree is None else {**entry, "fieldsV1": tree})
    if not found:
        return None
    return {"managedFields": entries, "resourceVersion": live["metadata"]["resourceVersion"]}


def _pruned(tree: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any] | None:
    """A tree of owned fields without one of them; None where that is not in it."""
    step = f"f:{path[0]}"
    if step not in tree:
        return None
    rest = {name: child for name, child in tree.items() if name != step}
    if len(path) == 1:
        return rest
    inner = _pruned(tree[step], path[1:])
    if inner is None:
        return None
    return {**rest, step: inner} if inner else rest
