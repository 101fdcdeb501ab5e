"""What pods are given: GPUs, cores and memory, where the settings leave it to the recipe."""

from __future__ import annotations

from typing import Any

from rolecall.api import Host
from roles.engine.settings import Engine
from roles.k8s.objects import given
from roles.k8s.settings import K8s, Resources
from roles.k8s.values import binary
from roles.repo.settings import Repo
from roles.runtime.settings import Runtime


def gpus(host: Host) -> int:
    """How many GPUs a pod that serves has."""
    count = host.settings(K8s).gpu.count
    return ranks(host) if count is None else count


def prepare_gpus(host: Host) -> int:
    """How many GPUs the Job has: an engine of TensorRT is built on what it is for."""
    count = host.settings(K8s).prepare.gpus
    if count is not None:
        return count
    return gpus(host) if host.settings(Engine).kind == "tensorrt_llm" else 0


def resources(host: Host) -> dict[str, Any]:
    """Limits and requests of a pod that serves."""
    settings = host.settings(K8s)
    return _resources(settings.resources, settings.gpu.resource, gpus(host))


def prepare_resources(host: Host) -> dict[str, Any]:
    """Limits and requests of the Job's pod: the server's, but for what is set."""
    settings = host.settings(K8s)
    own = settings.prepare.resources
    filled = Resources(**{**settings.resources.model_dump(), **given(own.model_dump())})
    usual = _resources(filled, settings.gpu.resource, gpus(host))
    usual["limits"].pop(settings.gpu.resource, None)
    if count := prepare_gpus(host):
        usual["limits"][settings.gpu.resource] = str(count)
    return usual


def shm_size(host: Host) -> str:
    """The size of /dev/shm."""
    return host.settings(K8s).shm_size or binary(host.settings(Runtime).shm_size)


def _resources(settings: Resources, gpu: str, count: int) -> dict[str, Any]:
    limits = {
        "cpu": settings.cpu or ("4" if count else ""),
        "memory": settings.memory or ("64Gi" if count else "4Gi"),
        gpu: str(count) if count else "",
    }
    requests = {
        "cpu": settings.cpu_request or limits["cpu"] or "1",
        "memory": settings.memory_request or limits["memory"],
    }
    return {"limits": given(limits), "requests": requests}


def ranks(host: Host) -> int:
    """Over how many GPUs the model is split; 0 for a recipe without one."""
    engine, repo = host.settings(Engine), host.settings(Repo)
    if repo.kind == "llmapi":
        return repo.llmapi.tensor_parallel_size * repo.llmapi.pipeline_parallel_size
    if engine.kind == "tensorrt_llm":
        return engine.tensorrt_llm.world_size
    return engine.vllm.tensor_parallel_size if engine.kind == "vllm" else 0
