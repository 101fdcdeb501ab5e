"""How many pods there are: the autoscaler, and what an eviction may take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rolecall.api import Host
from rolecall.cluster.objects import Object
from roles.k8s.labels import SERVER
from roles.k8s.objects import Maker, given
from roles.k8s.settings import K8s
from roles.repo.settings import Repo

#: TensorRT-LLM's backend and ours, which take all requests in and queue them themselves
#: (tensorrtllm_backend, docs/metrics; roles/repo/backends).
_BACKEND_QUEUE = ("nv_trt_llm_request_metrics", {"request_type": "waiting"})

#: Triton's own, of models that it hands requests to (server, docs/user_guide/metrics.md).
_TRITON_QUEUE: tuple[str, dict[str, str]] = ("nv_inference_pending_request_count", {})


def scaling(host: Host, make: Maker) -> Iterator[Object]:
    """All objects of this module that are wanted."""
    settings = host.settings(K8s)
    fewest = settings.replicas
    if settings.autoscale.enabled:
        fewest = settings.autoscale.min
        yield _autoscaler(make, settings, host.settings(Repo).kind)
    if settings.pdb and fewest > 1:
        spec = {"maxUnavailable": 1, "selector": {"matchLabels": make.selector(SERVER)}}
        yield make.manifest(
            "policy/v1", "PodDisruptionBudget", settings.name, SERVER, {"spec": spec}
        )


def _autoscaler(make: Maker, settings: K8s, kind: str) -> Object:
    wanted = settings.autoscale
    usual, labels = _TRITON_QUEUE if kind == "llmapi" else _BACKEND_QUEUE
    chosen = wanted.selector
    if chosen is None:
        chosen = labels if wanted.metric in {"", usual} else {}
    metric: dict[str, Any] = {
        "name": wanted.metric or usual,
        **given({"selector": {"matchLabels": chosen} if chosen else {}}),
    }
    target = {"type": "AverageValue", "averageValue": wanted.target}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": settings.name},
        "minReplicas": wanted.min,
        "maxReplicas": wanted.max,
        "metrics": [{"type": "Pods", "pods": {"metric": metric, "target": target}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": wanted.calm}},
    }
    return make.manifest(
        "autoscaling/v2", "HorizontalPodAutoscaler", settings.name, SERVER, {"spec": spec}
    )
