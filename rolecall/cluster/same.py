"""Whether a value is what a server makes of it: it rewrites some, and fills others in."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rolecall.cluster.managed import Item, Step
from rolecall.cluster.quantity import same_quantity
from rolecall.cluster.shapes import Shapes, fields

#: What live objects have in place of a field that is not there.
MISSING: Any = object()

#: Maps of quantities, and fields that are one (Kubernetes 1.34). The former are kept in milli.
RESOURCES = frozenset(
    {
        "allocatable",
        "capacity",
        "default",
        "defaultRequest",
        "hard",
        "limits",
        "max",
        "maxLimitRequestRatio",
        "min",
        "overhead",
        "podFixed",
        "requests",
    }
)
QUANTITIES = frozenset({"averageValue", "divisor", "sizeLimit", "tolerance"})
TIMES = frozenset({"acquireTime", "renewTime", "timeAdded"})

#: Maps whose values are encoded bytes, by the kind that has them.
ENCODED = frozenset({("ConfigMap", "binaryData"), ("Secret", "data")})

#: Maps whose values are strings of the user's.
_FREE = frozenset({"annotations", "data", "labels", "matchLabels", "nodeSelector", "parameters"})

#: What a server fills in, inside values that are atomic (Kubernetes 1.34, pkg/apis/*/defaults.go),
#: and where a manifest says null or an empty value.
DEFAULTS: Mapping[str, tuple[Any, ...]] = {
    "apiGroup": ("rbac.authorization.k8s.io", ""),
    "apiVersion": ("v1",),
    "creationTimestamp": (None,),
    "divisor": ("0",),
    "expirationSeconds": (3600,),
    "failureThreshold": (3,),
    "kind": ("PersistentVolumeClaim",),
    "metrics": (
        [
            {
                "type": "Resource",
                "resource": {
                    "name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": 80},
                },
            }
        ],
    ),
    "name": ("",),
    "periodSeconds": (10,),
    "phase": ("Pending",),
    "policyTypes": (["Ingress"], ["Ingress", "Egress"]),
    "progressDeadlineSeconds": (600,),
    "protocol": ("TCP",),
    "replicas": (1,),
    "resources": ({},),
    "revisionHistoryLimit": (10,),
    "scheme": ("HTTP",),
    "status": ("True", {"phase": "Pending"}),
    "successThreshold": (1,),
    "terminationGracePeriodSeconds": (30,),
    "timeoutSeconds": (1,),
    "type": ("ClusterIP", "Opaque"),
    "volumeMode": ("Filesystem",),
}

#: Numbers whose zero a server takes for a field that is not there. Of all others it is a value: no
#: replicas, say (Kubernetes 1.34, k8s.io/api: those are pointers).
ZERO_IS_NOTHING = frozenset(
    {"failureThreshold", "periodSeconds", "successThreshold", "timeoutSeconds"}
)

#: Of custom resources: what their schemas have where they embed Kubernetes' own types.
GUESSED: Mapping[str, tuple[Any, ...]] = {"name": ("",), "protocol": ("TCP",)}


def equal(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: true is not 1, but 1.0 is."""
    if isinstance(one, Mapping):
        return (
            isinstance(other, Mapping)
            and one.keys() == other.keys()
            and all(equal(value, other[name]) for name, value in one.items())
        )
    if isinstance(one, list):
        return (
            isinstance(other, list)
            and len(one) == len(other)
            and all(equal(left, right) for left, right in zip(one, other, strict=True))
        )
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def settled(desired: Any, live: Any, path: Sequence[Step], shapes: Shapes) -> bool:
    """Whether a server that is told ``desired`` keeps ``live`` as it is.

    Both are one value, atomic or a scalar. Custom resources are kept as they were written.
    """
    if live is MISSING:
        return False
    if desired.__class__ is str and desired == live:
        return True
    builtin = shapes.sure(path)
    if isinstance(desired, Mapping) and isinstance(live, Mapping):
        if builtin and _is_free(path, shapes.kind):
            return equal(desired, live)
        return all(
            settled(value, live[name], (*path, name), shapes)
            if name in live
            else builtin and not value
            for name, value in desired.items()
        ) and all(
            filled_in(name, value, builtin=builtin)
            for name, value in live.items()
            if name not in desired
        )
    if isinstance(desired, list) and isinstance(live, list) and desired:
        return len(desired) == len(live) and all(
            settled(left, right, path, shapes) for left, right in zip(desired, live, strict=True)
        )
    if equal(desired, live):
        return True
    return builtin and _rewritten(desired, live, path, shapes.kind)


def _is_free(path: Sequence[Step], kind: str) -> bool:
    """Whether a map's keys are the user's, so that an empty value is one and nothing is added."""
    name = fields(path)[1]
    return name in _FREE or (name == "selector" and kind == "Service")


def filled_in(name: str, live: Any, *, builtin: bool) -> bool:
    """Whether a server may have put the value there by itself."""
    known = DEFAULTS if builtin else GUESSED
    if isinstance(live, Mapping) and name == "spec" and live:
        return all(filled_in(key, value, builtin=builtin) for key, value in live.items())
    return any(equal(value, live) for value in known.get(name, ()))


def _rewritten(desired: Any, live: Any, path: Sequence[Step], kind: str) -> bool:
    holder, name = fields(path)
    if name == "targetPort" and not desired and isinstance(path[-2], Item):
        return bool(dict(path[-2].key).get("port") == live)
    if desired is None:
        # Whatever the server has chosen. Only it knows whether it would choose it again.
        return holder not in _FREE or not live
    if _is_number(desired) and not desired and name not in ZERO_IS_NOTHING:
        return False
    if not desired and not isinstance(desired, Mapping):
        return live in (None, "", [], {}) or filled_in(name, live, builtin=True)
    if name == "caBundle" or (kind, holder) in ENCODED:
        return _bytes(desired) is not None and _bytes(desired) == _bytes(live)
    if holder in _FREE:
        return False
    if holder in RESOURCES or name in QUANTITIES or (holder, name) == ("target", "value"):
        return same_quantity(desired, live, milli=holder in RESOURCES)
    return name in TIMES and _time(desired) is not None and _time(desired) == _time(live)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _bytes(text: Any) -> bytes | None:
    """What is encoded; Go's decoder passes line ends over."""
    try:
        return base64.b64decode(str(text).replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        return None


def _time(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
