"""The desired state: a mix of objects as services have them, as plain manifests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: All objects have these labels, whoever makes them: those of what Rolecall makes.
INSTANCE = "bench"
LABELS = {
    "app.kubernetes.io/managed-by": "rolecall",
    "app.kubernetes.io/instance": INSTANCE,
}

#: What asks for all objects in one list of ``kubectl get``.
SELECTOR = ",".join(f"{name}={value}" for name, value in LABELS.items())

#: The kinds of the mix, as ``kubectl get`` wants them: by their groups, so that none is guessed.
KINDS = (
    "configmaps",
    "services",
    "serviceaccounts",
    "deployments.apps",
    "poddisruptionbudgets.policy",
    "networkpolicies.networking.k8s.io",
)

#: Kinds of ten objects: four that services are configured by, and the rest that runs them.
TEN = (
    "ConfigMap",
    "ConfigMap",
    "ConfigMap",
    "Service",
    "Service",
    "ServiceAccount",
    "Deployment",
    "Deployment",
    "PodDisruptionBudget",
    "NetworkPolicy",
)

#: The groups of the kinds that are not of the core, and the versions of these groups.
GROUPS = {
    "Deployment": "apps",
    "PodDisruptionBudget": "policy",
    "NetworkPolicy": "networking.k8s.io",
}
API_VERSIONS = {group: f"{group}/v1" for group in GROUPS.values()}


def manifests(size: int) -> list[dict[str, Any]]:
    """``size`` objects, a multiple of ten, without a namespace.

    Deployments have no replicas: with or without controllers, nobody but the tools writes.
    """
    return [_manifest(TEN[number % 10], f"o{number:04}", number) for number in range(size)]


def write(folder: Path, things: list[dict[str, Any]]) -> None:
    """A file for each."""
    folder.mkdir(parents=True)
    for thing in things:
        name = f"{thing['metadata']['name']}-{thing['kind'].lower()}.json"
        (folder / name).write_text(json.dumps(thing, indent=1) + "\n")  # JSON is YAML


def _manifest(kind: str, name: str, number: int) -> dict[str, Any]:
    labels = {**LABELS, "app.kubernetes.io/name": name}
    return {
        "apiVersion": API_VERSIONS[GROUPS[kind]] if kind in GROUPS else "v1",
        "kind": kind,
        "metadata": {"name": name, "labels": labels},
        **dict(_content(kind, name, number)),
    }


def _content(kind: str, name: str, number: int) -> Iterator[tuple[str, Any]]:
    selector = {"app.kubernetes.io/name": name}
    if kind == "ConfigMap":
        yield "data", {"app.conf": _text(number), "level": "info", "port": str(7000 + number)}
    elif kind == "Service":
        port = {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}
        metrics = {"name": "metrics", "port": 9000, "targetPort": 9000, "protocol": "TCP"}
        # Headless, so that no range of addresses is too small for a thousand.
        yield "spec", {"clusterIP": "None", "selector": selector, "ports": [port, metrics]}
    elif kind == "ServiceAccount":
        yield "automountServiceAccountToken", False
    elif kind == "Deployment":
        yield "spec", _deployment(name, number)
    elif kind == "PodDisruptionBudget":
        yield "spec", {"maxUnavailable": 1, "selector": {"matchLabels": selector}}
    else:
        source = {"podSelector": {"matchLabels": {"role": "caller"}}}
        rule = {"from": [source], "ports": [{"port": 8000 + number, "protocol": "TCP"}]}
        yield (
            "spec",
            {
                "podSelector": {"matchLabels": selector},
                "policyTypes": ["Ingress"],
                "ingress": [rule],
            },
        )


def _deployment(name: str, number: int) -> dict[str, Any]:
    labels = {**LABELS, "app.kubernetes.io/name": name}
    restricted = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    container = {
        "name": "server",
        "image": f"registry.example/server:{number}",
        "args": ["serve", "--config", "/etc/server/app.conf"],
        "ports": [{"name": "http", "containerPort": 8000, "protocol": "TCP"}],
        "env": [{"name": "LEVEL", "value": "info"}, {"name": "NUMBER", "value": str(number)}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5},
        "livenessProbe": {"httpGet": {"path": "/live", "port": "http"}, "periodSeconds": 10},
        "securityContext": restricted,
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/server"},
            {"name": "scratch", "mountPath": "/tmp"},
        ],
    }
    return {
        "replicas": 0,
        "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "containers": [container],
                "securityContext": {"runAsNonRoot": True, "runAsUser": 1000},
                "volumes": [
                    {"name": "config", "configMap": {"name": f"o{number // 10 * 10:04}"}},
                    {"name": "scratch", "emptyDir": {}},
                ],
            },
        },
    }


def _text(number: int) -> str:
    return "".join(f"option.{number}.{line} = value {line * number}\n" for line in range(12))
