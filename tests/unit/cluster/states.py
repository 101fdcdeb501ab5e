"""Objects in the states that Kubernetes 1.34 writes, for tests of what is read out of them.

Where the words come from: kubelet (pkg/kubelet/images/image_manager.go, pkg/kubelet/kuberuntime,
pkg/kubelet/prober/prober.go, pkg/kubelet/eviction/helpers.go), kube-scheduler
(pkg/scheduler/framework/types.go), kube-controller-manager (pkg/controller/deployment,
pkg/controller/replicaset, pkg/controller/volume/persistentvolume), quota admission
(k8s.io/apiserver/pkg/admission/plugin/resourcequota); the registry's answers are containerd's.
"""

from __future__ import annotations

from typing import Any

NAMESPACE = "models"
IMAGE = "registry.example/triton:1"
DIGEST = "rolecall.dev/prepared"

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "llm", "namespace": NAMESPACE},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "llm"}},
        "template": {
            "metadata": {"labels": {"app": "llm"}},
            "spec": {
                "containers": [
                    {
                        "name": "triton",
                        "image": IMAGE,
                        "resources": {"limits": {"memory": "64Gi", "nvidia.com/gpu": 1}},
                        "startupProbe": {
                            "httpGet": {"path": "/v2/health/ready", "port": 8000},
                            "periodSeconds": 10,
                            "failureThreshold": 30,
                        },
                        "readinessProbe": {
                            "httpGet": {"path": "/v2/health/ready", "port": 8000},
                        },
                    }
                ],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "llm"}}],
            },
        },
    },
}

_REVISION = "deployment.kubernetes.io/revision"


def deployment(
    *, generation: int = 2, observed: int = 2, total: int = 1, conditions: Any = (), **counts: int
) -> dict[str, Any]:
    """The Deployment as the API has it: revision 2, with ``counts`` of its status."""
    return {
        **DEPLOYMENT,
        "metadata": {
            **DEPLOYMENT["metadata"],
            "uid": "deployment",
            "generation": generation,
            "annotations": {_REVISION: "2"},
        },
        "spec": {**DEPLOYMENT["spec"], "replicas": total},
        "status": {"observedGeneration": observed, "conditions": list(conditions), **counts},
    }


def replica_set(revision: int = 2, *, owner: str = "deployment", conditions: Any = ()) -> Any:
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"llm-{revision}",
            "uid": f"set-{revision}",
            "annotations": {_REVISION: str(revision)},
            "ownerReferences": [{"uid": owner, "controller": True}],
        },
        "status": {"conditions": list(conditions)},
    }


def condition(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


READY = condition("Ready", "True")


def pod(
    name: str = "llm-2-a",
    *,
    owner: str = "set-2",
    node: str = "node-1",
    phase: str = "Pending",
    conditions: Any = (),
    container: Any = None,
    spec: Any = None,
    annotations: Any = None,
    **status: Any,
) -> dict[str, Any]:
    """A pod of the Deployment; ``container`` is the status of its only container."""
    if container is not None:
        status["containerStatuses"] = [
            {"name": "triton", "restartCount": 0, "ready": False, **container}
        ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid-{name}",
            "creationTimestamp": "2026-11-22T20:00:00Z",
            "annotations": annotations or {},
            "ownerReferences": [{"uid": owner, "controller": True}],
        },
        "spec": {
            **DEPLOYMENT["spec"]["template"]["spec"],
            **(spec or {}),
            **({"nodeName": node} if node else {}),
        },
        "status": {"phase": phase, "conditions": list(conditions), **status},
    }


def ready_pod(name: str = "llm-2-a", **more: Any) -> dict[str, Any]:
    running = {"ready": True, "state": {"running": {}}}
    return pod(name, phase="Running", conditions=[READY], container=running, **more)


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    """A container's status, as the kubelet writes it."""
    return {"state": {"waiting": {"reason": reason, "message": message}}, **more}


def ended(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


def event(thing: Any, reason: str, message: str, *, at: int = 0, container: str = "") -> Any:
    """What has been reported of ``thing``; a greater ``at`` is later."""
    path = f"spec.containers{{{container}}}" if container else ""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{reason}-{at}"},
        "involvedObject": {"uid": thing["metadata"]["uid"], "fieldPath": path},
        "reason": reason,
        "message": message,
        "lastTimestamp": f"2026-11-22T20:00:{at:02}Z",
    }


def claim(phase: str = "Bound", storage_class: str | None = "fast") -> dict[str, Any]:
    asked = {"requests": {"storage": "100Gi"}}
    named = {"storageClassName": storage_class} if storage_class else {}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "llm", "uid": "claim"},
        "spec": {"resources": asked, **named},
        "status": {"phase": phase},
    }


def job(*conditions: Any, **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "llm-prepare", "namespace": NAMESPACE, "uid": "job"},
        "spec": {"template": {"spec": {}}},
        "status": {"conditions": list(conditions), **status},
    }
