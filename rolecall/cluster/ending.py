"""Objects on their way out: deleted already, and there until all have let go of them."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rolecall.cluster.objects import Found, Ref
from rolecall.cluster.target import ClusterTarget
from rolecall.errors import RolecallError

#: Seconds that pods are given to end, and objects to go with them.
PATIENCE = 180.0

#: The finalizer of an object whose parts go first (apimachinery, FinalizerDeleteDependents).
_PARTS = "foregroundDeletion"


def is_going(found: Found) -> bool:
    """Whether an object is there and has been deleted."""
    return isinstance(found, Mapping) and "deletionTimestamp" in found["metadata"]


def until_gone(cluster: ClusterTarget, ref: Ref) -> None:
    """Wait until an object that was deleted has gone.

    Raises:
        RolecallError: it was still there after :data:`PATIENCE`.
    """
    deadline = time.monotonic() + PATIENCE
    while (found := cluster.api.read([ref])[0]) and not cluster.interrupted:
        if time.monotonic() > deadline:
            raise RolecallError(
                f"{ref} is still there {PATIENCE:.0f} s after it was deleted{_held_by(found)}",
                f"kubectl get {ref} -o yaml shows its finalizers: who has to let go of it",
            )
        cluster.tell(f"waiting for the end of {ref}{_held_by(found)}", 0, 0)
        time.sleep(0.3)


def _held_by(found: Found) -> str:
    """Whoever has to let go of an object, in words."""
    if not isinstance(found, Mapping):
        return ""
    held = [one for one in found["metadata"].get("finalizers") or () if one != _PARTS]
    return f", which {', '.join(held)} keeps" if held else ""
