"""The container that speaks OpenAI's API, in the pods that serve.

It is an ordinary container beside Triton's and not one that starts first (an init container that
restarts always): of those the kubelet waits for the startup probe before it starts Triton, and it
stops them after Triton, whose last connections they would keep open. Beside each other both are
told to leave at once, finish what is in flight, and close their connections.
"""

from __future__ import annotations

import math
from typing import Any

from rolecall.api import Host
from roles.k8s.kubernetes import pods
from roles.k8s.objects import given
from roles.k8s.pod_inventory import PLACE
from roles.k8s.settings import K8s
from roles.server.settings import Server

#: Its name, and that of its port.
NAME = "openai"

#: Says which container is meant where none is named (kubernetes.io, well-known annotations).
DEFAULT = "kubectl.kubernetes.io/default-container"

#: Seconds that the program may take until it listens; it does not wait for Triton.
_START = 120


def container(host: Host, pod: pods.Pod) -> dict[str, Any]:
    """The container beside ``pod``'s own."""
    settings, server = host.settings(K8s), host.settings(Server)
    probes, drain = settings.probes, settings.rolling.drain
    often: dict[str, Any] = {"periodSeconds": probes.period, "timeoutSeconds": probes.timeout}
    # That Triton is not ready is no reason to start this one again.
    lives, answers = {**_asks("/health/live"), **often}, {**_asks("/health"), **often}
    sleep = {"preStop": {"exec": {"command": ["sleep", str(drain)]}}}
    fields: dict[str, Any] = {
        "ports": [port(server)],
        "startupProbe": {**lives, "failureThreshold": math.ceil(_START / probes.period)},
        "readinessProbe": {**answers, "failureThreshold": probes.unready_after},
        "livenessProbe": {**lives, "failureThreshold": probes.restart_after},
        **({"lifecycle": sleep} if drain else {}),
    }
    args = ("./inv", "serve", "--openai", "--inventory", PLACE)
    return pods.reading(settings, pod, NAME, args, _resources(settings), fields)


def port(server: Server) -> dict[str, Any]:
    """The port, as a container has it."""
    return {"name": NAME, "containerPort": server.openai_port}


def _asks(path: str) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": NAME}}


def _resources(settings: K8s) -> dict[str, Any]:
    own = settings.openai.resources
    return given(
        {
            "limits": given({"cpu": own.cpu, "memory": own.memory}),
            "requests": given({"cpu": own.cpu_request, "memory": own.memory_request}),
        }
    )
