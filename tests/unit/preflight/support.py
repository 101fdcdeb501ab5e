"""Hosts with facts and settings, for roles that are never run."""

from __future__ import annotations

from typing import Any

from rolecall.facts import Facts
from rolecall.resource import Observed
from rolecall.role import Host
from rolecall.settings import RunnerSettings
from roles.engine.settings import Engine
from roles.model.settings import Model
from roles.preflight.settings import Preflight
from roles.python.settings import Python
from roles.repo.settings import Repo
from roles.runtime.settings import Runtime

FACTS = (
    "home=/home/u\nstate_dir=/home/u/.rolecall\nlibc=glibc 2.36\npython=/usr/bin/python3\n"
    "python_version=3.11.7\nmemory_kib=65000000"
)

H100 = {
    "gpu.count": "1",
    "gpu.names": "NVIDIA H100 80GB HBM3",
    "gpu.memory_mib": "81559",
    "gpu.compute_capability": "9.0",
    "gpu.driver": "590.48.01",
    "gpu.cuda": "13.1",
    "shm_mib": "64",
}

#: Settings of a host that builds a TensorRT engine in a container.
ENGINE = {
    "python": {"lock": "none"},
    "runtime": {"kind": "container", "triton": "26.06"},
    "model": {"source": "hf://org/name@0123456789012345678901234567890123456789"},
    "engine": {"kind": "tensorrt_llm"},
}

_TYPES = {
    "rolecall": RunnerSettings,
    "python": Python,
    "runtime": Runtime,
    "preflight": Preflight,
    "model": Model,
    "engine": Engine,
    "repo": Repo,
}


def a_host(settings: dict[str, Any], facts: dict[str, str], text: str = FACTS) -> Host:
    """A host with these facts of the role, and these settings by role."""
    said = Facts.parse(Observed.parse(text), Observed("", facts))
    typed = {name: type_(**settings.get(name, {})) for name, type_ in _TYPES.items()}
    return Host("gpu-1", said, typed)
