"""How the API server takes the lists and maps of an object: as one value, or part by part.

Server-side apply merges a list whose items have keys item by item, and a map field by field; what
is *atomic* it replaces as a whole. The tables have Kubernetes' own kinds (its OpenAPI document,
1.34: ``x-kubernetes-list-type``, ``x-kubernetes-map-type``; a test compares them with a server's).
Custom resources say nothing of theirs in an object, so for them the tables are a guess, which
``managedFields`` corrects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rolecall.cluster.managed import Item, Step
from rolecall.cluster.objects import Object

#: The API groups whose kinds the server itself defines; everything else is a custom resource.
BUILTIN = frozenset(
    {
        "",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
    }
)

#: Lists that are maps, by the field that has them: the keys of their items.
LISTS: Mapping[str, tuple[str, ...]] = {
    "claims": ("name",),
    "containers": ("name",),
    "drivers": ("name",),
    "env": ("name",),
    "ephemeralContainers": ("name",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "matchConditions": ("name",),
    "ownerReferences": ("uid",),
    "resourceClaims": ("name",),
    "schedulingGates": ("name",),
    "secrets": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "variables": ("name",),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
    "webhooks": ("name",),
}

#: Lists that are sets of strings.
SETS = frozenset({"finalizers", "podCIDRs", "validationActions", "volumeLifecycleModes"})

#: Lists that are maps, but of items that are taken as a whole.
WHOLE_ITEMS = frozenset({"imagePullSecrets", "ownerReferences", "secrets", "variables"})

#: Maps that are atomic wherever a field of that name has one.
ATOMIC = frozenset(
    {
        "configMapKeyRef",
        "controllerExpandSecretRef",
        "controllerPublishSecretRef",
        "dataSource",
        "fieldRef",
        "fileKeyRef",
        "involvedObject",
        "labelSelector",
        "matchConstraints",
        "matchResources",
        "namespaceSelector",
        "nodeExpandSecretRef",
        "nodePublishSecretRef",
        "nodeSelector",
        "nodeStageSecretRef",
        "nodeTopology",
        "objectSelector",
        "paramKind",
        "paramRef",
        "podSelector",
        "preference",
        "regarding",
        "related",
        "required",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "resourceFieldRef",
        "roleRef",
        "scopeSelector",
        "secretKeyRef",
        "secretRef",
        "selector",
    }
)

#: Values of keys that a server fills in where an item leaves them out.
KEY_DEFAULTS: Mapping[str, str] = {"name": "", "protocol": "TCP"}

_CONTAINERS = frozenset({"containers", "initContainers", "ephemeralContainers"})


@dataclass(frozen=True)
class Shapes:
    """The shapes of one kind of object."""

    api_version: str
    kind: str

    @classmethod
    def of(cls, thing: Object) -> Shapes:
        """The shapes of a manifest."""
        return cls(thing["apiVersion"], thing["kind"])

    @cached_property
    def builtin(self) -> bool:
        """Whether the server itself defines the kind, so that the tables are right."""
        return self.api_version.rpartition("/")[0] in BUILTIN

    def sure(self, path: Sequence[Step]) -> bool:
        """Whether the tables know the field, whatever the kind is: ``metadata`` is the same."""
        return path[0] == "metadata" or self.builtin

    def keys(self, path: Sequence[Step], items: Sequence[Any]) -> tuple[str, ...]:
        """The keys of the items of a list; () of a list that is atomic or a set."""
        holder, name = fields(path)
        found = LISTS.get(name, ())
        if name == "ports":
            found = ("containerPort", "protocol") if holder in _CONTAINERS else ()
            if holder == "spec" and self.kind == "Service":
                found = ("port", "protocol")
        if (name == "imagePullSecrets" and self.kind == "ServiceAccount") or (
            name == "secrets" and len(path) > 1
        ):
            found = ()
        if not all(isinstance(item, Mapping) for item in items):
            return ()  # no server takes that
        return found if found and (self.sure(path) or _have(items, found)) else ()

    def is_set(self, path: Sequence[Step]) -> bool:
        """Whether a list is a set: its items are merged one by one."""
        holder, name = fields(path)
        return name in SETS and self.sure(path) and (name != "finalizers" or holder == "metadata")

    def whole_item(self, path: Sequence[Step]) -> bool:
        """Whether the items of a list that has keys are taken as a whole."""
        return fields(path)[1] in WHOLE_ITEMS and self.sure(path)

    def atomic(self, path: Sequence[Step]) -> bool:
        """Whether a map is one value."""
        if not self.sure(path):
            return False
        holder, name = fields(path)
        if holder in ("labels", "annotations", "data", "binaryData", "stringData"):
            return False
        match name:
            case "data":
                return self.kind == "ControllerRevision"
            case "port":
                return holder == "service"
            case "resource":
                return holder == "defaultBackend"
            case "scaleTargetRef":
                return self.api_version == "autoscaling/v1"
        return name in ATOMIC

    def leaves(self, value: Any, path: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], Any]]:
        """Every value that is one to the server, with its path."""
        if isinstance(value, Mapping) and value and not (path and self.atomic(path)):
            for name, child in value.items():
                yield from self.leaves(child, (*path, name))
        elif isinstance(value, list) and (value and self.is_set(path)):
            for child in value:
                yield (*path, Item(value=child)), child
        elif isinstance(value, list) and value and (keys := self.keys(path, value)):
            for child in value:
                yield from self._item(child, keys, path)
        else:
            yield path, value

    def _item(
        self, value: Any, keys: tuple[str, ...], path: tuple[Step, ...]
    ) -> Iterator[tuple[tuple[Step, ...], Any]]:
        at = (*path, item_of(value, keys))
        besides = {name: child for name, child in value.items() if name not in keys}
        if not besides or self.whole_item(path):
            yield at, value
        else:
            for name, child in besides.items():
                yield from self.leaves(child, (*at, name))


def fields(path: Sequence[Step]) -> tuple[str, str]:
    """The last two names of fields in a path, without the items between."""
    name = ""
    for step in reversed(path):
        if isinstance(step, str):
            if name:
                return step, name
            name = step
    return "", name


def item_of(value: Any, keys: Sequence[str]) -> Item:
    """Which item of a list it is, by its keys; those that a server fills in are filled in."""
    found = [(key, value.get(key, KEY_DEFAULTS.get(key))) for key in keys]
    return Item(key=tuple(sorted((key, name) for key, name in found if _plain(name))))


def _plain(value: Any) -> bool:
    return isinstance(value, (str, int, float))


def _have(items: Sequence[Any], keys: Sequence[str]) -> bool:
    """Whether all of a list's items can be told apart by keys."""
    if not all(
        isinstance(item, Mapping) and isinstance(item.get(keys[0]), str | int) for item in items
    ):
        return False
    return len({item_of(item, keys) for item in items}) == len(items)
