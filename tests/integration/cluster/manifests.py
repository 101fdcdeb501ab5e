"""Manifests of the kinds that Rolecall makes, written as people write them, and edits of them."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

LABELS = {"app.kubernetes.io/managed-by": "rolecall", "app": "llm"}

Manifest = dict[str, Any]


def _manifest(version: str, kind: str, name: str, **rest: Any) -> Manifest:
    metadata = {"name": name, "labels": dict(LABELS), **rest.pop("metadata", {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


POD: Manifest = {
    "securityContext": {"runAsNonRoot": True, "fsGroup": 1000},
    "nodeSelector": {"gpu": "a100"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    "imagePullSecrets": [{"name": "pull"}],
    "topologySpreadConstraints": [
        {
            "topologyKey": "zone",
            "whenUnsatisfiable": "ScheduleAnyway",
            "maxSkew": 1,
            "labelSelector": {"matchLabels": {"app": "llm"}},
        }
    ],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "k", "operator": "In", "values": ["a"]}]}
                ]
            }
        }
    },
    "containers": [
        {
            "name": "triton",
            "image": "server:1",
            "args": ["serve", "--inventory", "/etc/rolecall"],
            "env": [
                {"name": "A", "value": "1"},
                {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "t"}}},
                {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            ],
            "ports": [
                {"containerPort": 8000, "name": "http"},
                {"containerPort": 53, "protocol": "UDP"},
                {"containerPort": 53, "protocol": "TCP", "name": "dns"},
            ],
            "resources": {
                "limits": {"cpu": "4000m", "memory": "64Gi", "nvidia.com/gpu": 1},
                "requests": {"cpu": 0.5, "memory": "1024Mi"},
            },
            "volumeMounts": [
                {"name": "data", "mountPath": "/data"},
                {"name": "shm", "mountPath": "/dev/shm"},
            ],
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            },
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5},
            "startupProbe": {
                "httpGet": {
                    "path": "/ready",
                    "port": 8000,
                    "httpHeaders": [{"name": "a", "value": "b"}],
                }
            },
            "lifecycle": {"preStop": {"exec": {"command": ["sleep", "5"]}}},
        }
    ],
    "volumes": [
        {"name": "data", "persistentVolumeClaim": {"claimName": "llm"}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "8192Mi"}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "config", "configMap": {"name": "c", "items": [{"key": "a", "path": "b"}]}},
        {
            "name": "token",
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"path": "x"}},
                    {
                        "downwardAPI": {
                            "items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]
                        }
                    },
                ]
            },
        },
    ],
}

SMALL_POD: Manifest = {"containers": [{"name": "p", "image": "i:1"}]}
CLAIM: Manifest = {
    "accessModes": ["ReadWriteOnce"],
    "resources": {"requests": {"storage": "102400Mi"}},
}
SELECTOR: Manifest = {"matchLabels": {"app": "llm"}}
BACKEND: Manifest = {"service": {"name": "llm", "port": {"number": 8000}}}

DEPLOYMENT = _manifest(
    "apps/v1",
    "Deployment",
    "llm",
    metadata={"annotations": {"rolecall.dev/note": "1"}},
    spec={
        "replicas": 2,
        "selector": SELECTOR,
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
        },
        "template": {"metadata": {"labels": {"app": "llm"}}, "spec": POD},
    },
)
SERVICE = _manifest(
    "v1",
    "Service",
    "llm",
    spec={
        "selector": {"app": "llm"},
        "type": "ClusterIP",
        "ports": [
            {"name": "http", "port": 8000, "targetPort": "http"},
            {"name": "grpc", "port": 8001, "protocol": "TCP", "targetPort": 8001},
        ],
    },
)
CONFIG = _manifest(
    "v1",
    "ConfigMap",
    "llm",
    data={"a.yaml": "x: 1\ny: 2\n", "empty": ""},
    binaryData={"b": "aGVs\nbG8="},
)
SECRET = _manifest(
    "v1",
    "Secret",
    "llm",
    type="Opaque",
    data={"t": "aGVsbG8="},
    stringData={"u": "open sesame"},
)
JOB = _manifest(
    "batch/v1",
    "Job",
    "llm-prepare",
    spec={
        "backoffLimit": 2,
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
                {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1, 2]}},
            ]
        },
        "template": {"spec": {"restartPolicy": "Never", **SMALL_POD}},
    },
)
SCALER = _manifest(
    "autoscaling/v2",
    "HorizontalPodAutoscaler",
    "llm",
    spec={
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "llm"},
        "minReplicas": 1,
        "maxReplicas": 3,
        "metrics": [
            {
                "type": "Pods",
                "pods": {
                    "metric": {"name": "queue"},
                    "target": {"type": "AverageValue", "averageValue": "0.5"},
                },
            }
        ],
        "behavior": {
            "scaleDown": {
                "stabilizationWindowSeconds": 100,
                "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
            }
        },
    },
)
INGRESS = _manifest(
    "networking.k8s.io/v1",
    "Ingress",
    "llm",
    spec={
        "rules": [
            {
                "host": "llm.example",
                "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]},
            }
        ],
        "defaultBackend": {"service": {"name": "llm", "port": {"name": "http"}}},
        "tls": [{"hosts": ["llm.example"], "secretName": "x"}],
    },
)
POLICY = _manifest(
    "networking.k8s.io/v1",
    "NetworkPolicy",
    "llm",
    spec={
        "podSelector": {},
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": [{"port": 8000}], "from": [{"podSelector": {}}]}],
    },
)
STATEFUL = _manifest(
    "apps/v1",
    "StatefulSet",
    "llm",
    spec={
        "serviceName": "llm",
        "selector": SELECTOR,
        "template": {"metadata": {"labels": {"app": "llm"}}, "spec": SMALL_POD},
        "volumeClaimTemplates": [{"metadata": {"name": "v"}, "spec": CLAIM}],
    },
)
ROLE_GROUP = "rbac.authorization.k8s.io"

KINDS = (
    DEPLOYMENT,
    SERVICE,
    CONFIG,
    SECRET,
    _manifest("v1", "PersistentVolumeClaim", "llm", spec=CLAIM),
    JOB,
    SCALER,
    _manifest(
        "policy/v1",
        "PodDisruptionBudget",
        "llm",
        spec={"maxUnavailable": 1, "selector": SELECTOR},
    ),
    INGRESS,
    POLICY,
    _manifest(
        "v1",
        "ServiceAccount",
        "llm",
        imagePullSecrets=[{"name": "x"}],
        secrets=[{"name": "y"}],
        automountServiceAccountToken=False,
    ),
    _manifest(
        f"{ROLE_GROUP}/v1",
        "Role",
        "llm",
        rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
    ),
    _manifest(
        f"{ROLE_GROUP}/v1",
        "RoleBinding",
        "llm",
        roleRef={"kind": "Role", "name": "llm", "apiGroup": ROLE_GROUP},
        subjects=[{"kind": "ServiceAccount", "name": "a"}, {"kind": "User", "name": "u"}],
    ),
    STATEFUL,
    _manifest(
        "batch/v1",
        "CronJob",
        "llm",
        spec={
            "schedule": "0 1 * * *",
            "jobTemplate": {
                "spec": {"template": {"spec": {"restartPolicy": "OnFailure", **SMALL_POD}}}
            },
        },
    ),
    _manifest(
        "coordination.k8s.io/v1",
        "Lease",
        "llm",
        spec={"holderIdentity": "a", "renewTime": "2026-01-01T00:00:00.500000Z"},
    ),
    _manifest(
        "apps/v1",
        "ControllerRevision",
        "llm",
        revision=3,
        data={"a": {"b": 1, "c": [1, 2]}, "spec": {"containers": [{"name": "q", "x": 1}]}},
    ),
)

_NAMED: Manifest = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "image": {"type": "string"},
        "env": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
            },
        },
        "ports": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
            "items": {
                "type": "object",
                "required": ["containerPort"],
                "properties": {
                    "containerPort": {"type": "integer"},
                    "protocol": {"type": "string", "default": "TCP"},
                    "name": {"type": "string"},
                },
            },
        },
    },
}
_SPEC: Manifest = {
    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    "number": {"type": "number"},
    "quantity": {"x-kubernetes-int-or-string": True},
    "flag": {"type": "boolean"},
    "text": {"type": "string"},
    "args": {"type": "array", "items": {"type": "string"}},
    "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
    "containers": {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": _NAMED,
    },
    "plain": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "image": {"type": "string"},
                "mode": {"type": "string", "default": "x"},
            },
        },
    },
    "selector": {
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "additionalProperties": {"type": "string"},
    },
    "resources": {
        "type": "object",
        "properties": {
            "limits": {
                "type": "object",
                "additionalProperties": {"x-kubernetes-int-or-string": True},
            }
        },
    },
}

#: A definition that has lists and maps of every shape.
DEFINITION: Manifest = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.fields.rolecall.dev"},
    "spec": {
        "group": "fields.rolecall.dev",
        "names": {"kind": "Thing", "plural": "things"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": _SPEC},
                            "status": {
                                "type": "object",
                                "x-kubernetes-preserve-unknown-fields": True,
                            },
                        },
                    }
                },
            }
        ],
    },
}
THING = _manifest(
    "fields.rolecall.dev/v1",
    "Thing",
    "llm",
    spec={
        "free": {
            "a": {"b": [1, 2, {"c": "d"}], "e": {}},
            "containers": [{"name": "u", "image": "v"}],
        },
        "number": 1.5,
        "quantity": "1000m",
        "flag": False,
        "text": "",
        "args": ["x", "y"],
        "set": ["p", "q"],
        "containers": [
            {
                "name": "c",
                "image": "i",
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                "ports": [{"containerPort": 80, "name": "h"}],
            },
            {"name": "d"},
        ],
        "plain": [{"name": "z", "image": "1"}],
        "selector": {"a": "b", "c": "d"},
        "resources": {"limits": {"cpu": "4000m", "memory": 4}},
    },
)


def edited(manifest: Manifest, choose: random.Random) -> Manifest:
    """The manifest with one field or two changed, removed, emptied, added or put elsewhere."""
    made = copy.deepcopy(manifest)
    for _ in range(choose.choice([1, 1, 2])):
        places = [
            (holder, name)
            for holder, name in _places(made)
            if name not in _FIXED and (holder is not made["metadata"] or name != "name")
        ]
        holder, name = choose.choice(places)
        _edit(holder, name, choose)
    return made


_FIXED = frozenset({"apiVersion", "kind", "metadata", "spec"})
_ADDED = ("protocol", "timeoutSeconds", "replicas", "annotations", "effect", "value", "cpu")


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        for name, child in value.items():
            yield value, name
            yield from _places(child)
    elif isinstance(value, list):
        for place, child in enumerate(value):
            yield value, place
            yield from _places(child)


def _edit(holder: Any, name: Any, choose: random.Random) -> None:
    value = holder[name]
    match choose.choice(["change", "change", "remove", "empty", "shuffle", "add", "quote"]):
        case "remove":
            del holder[name]
        case "empty":
            holder[name] = type(value)()
        case "shuffle" if isinstance(value, list):
            choose.shuffle(value)
        case "add" if isinstance(value, (dict, list)) and value:
            _add(value, choose)
        case "quote" if isinstance(value, int) and not isinstance(value, bool):
            holder[name] = str(value)
        case _:
            holder[name] = _another(value, choose)


def _add(value: Any, choose: random.Random) -> None:
    if isinstance(value, dict):
        value[choose.choice(_ADDED)] = choose.choice([1, "q", {"a": "b"}, "TCP"])
        return
    one = copy.deepcopy(choose.choice(value))
    if isinstance(one, dict) and isinstance(one.get("name"), str):
        one["name"] += "2"
    value.insert(choose.randint(0, len(value)), one)


def _another(value: Any, choose: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    if isinstance(value, str):
        return choose.choice([f"{value}x", "2", "500m", "1Gi", "UDP", "Always"])
    return value
