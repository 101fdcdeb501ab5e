"""The Deployment: the pods that serve, and how a change replaces them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from rolecall.api import Host
from rolecall.cluster.objects import Object
from rolecall.resources.cluster_prepared import PREPARED
from roles.k8s import sizing
from roles.k8s.kubernetes import openai, pods
from roles.k8s.labels import SERVER
from roles.k8s.objects import Maker
from roles.k8s.pod_inventory import PLACE, PodInventory
from roles.k8s.secrets import KEY, key_digest
from roles.k8s.settings import K8s
from roles.server.openai import own
from roles.server.settings import Server

#: The name of the container.
CONTAINER = "triton"

#: Seconds beyond readiness that the controller and the pod itself are given.
_START_MARGIN = 60

#: Seconds that an image may take to arrive before a rollout counts as stuck.
_PULL = 1800

#: Seconds that Triton is given to leave once its own timeout has passed.
_EXIT_MARGIN = 10


def deployment(
    host: Host, make: Maker, inventory: PodInventory, config: str, prepared: str
) -> Object:
    """The Deployment. ``prepared`` is what has to lie on the volume, by annotation."""
    settings, server = host.settings(K8s), host.settings(Server)
    pod = pods.Pod(
        container=CONTAINER,
        image=pods.needed_image(settings.image),
        component=SERVER,
        args=("./inv", "serve", "--inventory", PLACE),
        inventory=inventory,
        config=config,
        resources=sizing.resources(host),
        annotations={PREPARED: prepared},
        fields=_serving(settings, server),
        shm_size=sizing.shm_size(host) if settings.shm else "",
    )
    if server.openai:
        pod = _with_openai(host, make, pod)
    drain = settings.rolling.drain
    grace = drain + server.stop_timeout + _EXIT_MARGIN
    body: dict[str, Any] = {
        "selector": {"matchLabels": make.selector(SERVER)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": _rolling(host)},
        "minReadySeconds": settings.rolling.min_ready,
        "revisionHistoryLimit": settings.rolling.history,
        "progressDeadlineSeconds": patience(settings, server) + _PULL,
        "template": pods.template(host, make, pod, terminationGracePeriodSeconds=grace),
    }
    if not settings.autoscale.enabled:
        body["replicas"] = settings.replicas
    return make.manifest("apps/v1", "Deployment", settings.name, SERVER, {"spec": body})


def _with_openai(host: Host, make: Maker, pod: pods.Pod) -> pods.Pod:
    """The pod where OpenAI's API is served too; another key is another pod."""
    server = host.settings(Server)
    noted = {**pod.annotations, openai.DEFAULT: CONTAINER}
    if digest := key_digest(make, server.api_key):
        noted[KEY] = digest
    if server.has_own:
        own.check(host, ranks=sizing.ranks(host))
    beside = (openai.container(host, pod),) if server.has_front else ()
    return replace(pod, annotations=noted, beside=beside)


def patience(settings: K8s, server: Server) -> int:
    """Seconds until every model of a new pod has to be ready."""
    if settings.probes.startup is not None:
        return settings.probes.startup
    fills = settings.prepare.deadline if settings.prepare.by == "none" else 0
    return server.ready_timeout + _START_MARGIN + fills


def _serving(settings: K8s, server: Server) -> dict[str, Any]:
    """Ports, probes and the way out, as fields of the container."""
    probes, drain = settings.probes, settings.rolling.drain
    often = {"periodSeconds": probes.period, "timeoutSeconds": probes.timeout}
    attempts = math.ceil(patience(settings, server) / probes.period)
    sleep = {"preStop": {"exec": {"command": ["sleep", str(drain)]}}}
    return {
        "ports": ports(server),
        "startupProbe": {**_asks("ready"), **often, "failureThreshold": attempts},
        "readinessProbe": {**_asks("ready"), **often, "failureThreshold": probes.unready_after},
        "livenessProbe": {**_asks("live"), **often, "failureThreshold": probes.restart_after},
        **({"lifecycle": sleep} if drain else {}),
    }


def _asks(what: str) -> dict[str, Any]:
    return {"httpGet": {"path": f"/v2/health/{what}", "port": "http"}}


def ports(server: Server) -> list[dict[str, Any]]:
    """The container's ports, by name."""
    numbers = {
        "http": server.http_port,
        "grpc": server.grpc_port,
        "metrics": server.metrics_port,
    }
    found = [{"name": name, "containerPort": number} for name, number in numbers.items()]
    return [*found, openai.port(server)] if server.has_own else found


def _rolling(host: Host) -> dict[str, int]:
    settings = host.settings(K8s)
    most = settings.autoscale.min if settings.autoscale.enabled else settings.replicas
    surge = settings.rolling.surge
    if surge == "auto":
        holds_gpu = sizing.gpus(host) > 0
        if "ReadWriteOncePod" in settings.volume.access_modes or (holds_gpu and most <= 1):
            surge = "never"
        elif holds_gpu:
            # A new pod takes a GPU that is free, or else the one that an old pod gives up.
            return {"maxSurge": 1, "maxUnavailable": 1}
    return (
        {"maxSurge": 0, "maxUnavailable": 1}
        if surge == "never"
        else {
            "maxSurge": 1,
            "maxUnavailable": 0,
        }
    )
