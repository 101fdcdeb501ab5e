"""Flavour ``t9k``: MLServiceRuntime and MLService of TensorStack (tensorstack.dev/v1beta1).

The API: t9k/user-manuals, src/references/api-reference/mlservice.md. The published objects, which
these are field by field where the settings say so: t9k/examples, deployments/triton-tensorrtllm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rolecall.api import ConfigError, Host
from rolecall.cluster.objects import Object
from rolecall.resources.cluster_prepared import PREPARED
from roles.k8s import sizing
from roles.k8s.kubernetes import pods, prepare
from roles.k8s.labels import SERVER
from roles.k8s.manifests import Manifests
from roles.k8s.objects import Maker, digest, given
from roles.k8s.secrets import pull_secrets, secrets
from roles.k8s.settings import K8s
from roles.server.settings import Server

API = "tensorstack.dev/v1beta1"

#: The name that the platform asks of the container.
CONTAINER = "user-container"

#: What the launchers listen on unless they are told otherwise.
_LAUNCHERS_PORT = 8000

#: The annotation of pods that names the runtime they are of, by content.
RUNTIME = "rolecall.dev/runtime"


def t9k(host: Host) -> Manifests:
    """The objects of ``host``'s service.

    Raises:
        ConfigError: no image is set, or something is that the platform's objects cannot say.
    """
    settings, make = host.settings(K8s), Maker.of(host)
    _refuse_what_is_not_there(settings)
    if host.settings(Server).openai:
        raise ConfigError(
            "server.openai is set, and a service of T9k has one port, which is Triton's: the "
            "OpenAI API beside it would have no address",
            "leave it out for this cluster, or set k8s.flavour to kubernetes",
        )
    own = settings.t9k
    filling = prepare.filling(host, make, own.mount_path, own.model_repo_path)
    runtime = _runtime(host, make)
    return Manifests(
        claim=pods.claim(settings),
        prepare_digest=filling.content,
        secrets=tuple(secrets(make, settings, filling.inventory.secrets if filling.job else {})),
        prepare_config=filling.config,
        volume=prepare.volume(make, settings),
        prepare=filling.job,
        workload=(runtime, _service(host, make, runtime, filling.content)),
        others=tuple(
            pods.service_account(make, settings, prepare.COMPONENT) if filling.job else ()
        ),
    )


def _runtime(host: Host, make: Maker) -> Object:
    settings, own = host.settings(K8s), host.settings(K8s).t9k
    port = host.settings(Server).http_port
    shm = sizing.shm_size(host) if settings.shm else ""
    container = given(
        {
            "name": CONTAINER,
            "image": pods.needed_image(settings.image),
            "imagePullPolicy": (
                settings.image_pull_policy
                if "image_pull_policy" in settings.model_fields_set
                else ""
            ),
            "workingDir": own.working_dir,
            "args": [*own.args, *_listening(own.args, port)],
            "env": [{"name": name, "value": text} for name, text in settings.env.items()],
            "resources": _resources(host),
            "ports": [{"containerPort": port}],
            "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}] if shm else [],
        }
    )
    spec = given(
        {
            "imagePullSecrets": pull_secrets(settings),
            "containers": [container],
            "volumes": [pods.shm(shm)] if shm else [],
        }
    )
    body = {"spec": {"enabled": True, "template": {"spec": spec}}}
    return make.manifest(API, "MLServiceRuntime", own.runtime or settings.name, "runtime", body)


def _listening(args: tuple[str, ...], port: int) -> list[str]:
    said = any(arg.startswith(("--http_port", "--http-port")) for arg in args)
    return [] if said or port == _LAUNCHERS_PORT else [f"--http_port={port}"]


def _resources(host: Host) -> dict[str, Any]:
    """Limits, and the requests that are set, as the published objects have them.

    Whole numbers are numbers: a custom resource keeps the type that it is given.
    """
    own, usual = host.settings(K8s).resources, sizing.resources(host)
    asked = given({"cpu": own.cpu_request, "memory": own.memory_request})
    return given({"limits": _numbers(usual["limits"]), "requests": _numbers(asked)})


def _numbers(quantities: Mapping[str, str]) -> dict[str, int | str]:
    return {name: int(text) if text.isdigit() else text for name, text in quantities.items()}


def _service(host: Host, make: Maker, runtime: Object, prepared: str) -> Object:
    settings, own = host.settings(K8s), host.settings(K8s).t9k
    predictor = given(
        {
            "minReplicas": settings.replicas,
            "maxReplicas": own.max_replicas,
            "model": {
                "runtime": runtime["metadata"]["name"],
                "parameters": {"MODEL_REPO_PATH": own.model_repo_path},
            },
            "containersResources": [{"name": CONTAINER, "resources": _resources(host)}],
            "storage": {"pvc": {"name": pods.claim(settings), "mountPath": own.mount_path}},
            "template": _template(settings, make, runtime, prepared),
        }
    )
    spec = given(
        {
            "scheduler": {"t9kScheduler": {"queue": own.queue}} if own.queue else {},
            "default": own.release,
            "releases": [{"name": own.release, "predictor": predictor}],
        }
    )
    return make.manifest(API, "MLService", settings.name, SERVER, {"spec": spec})


def _template(settings: K8s, make: Maker, runtime: Object, prepared: str) -> dict[str, Any]:
    """What of the pods is ours to say besides the runtime's: their marks, and where they run."""
    scheduling = settings.scheduling
    spec = given(
        {
            "serviceAccountName": settings.service_account,
            "nodeSelector": scheduling.node_selector,
            "tolerations": list(scheduling.tolerations),
            "affinity": scheduling.affinity,
            "priorityClassName": scheduling.priority_class,
            "runtimeClassName": scheduling.runtime_class,
        }
    )
    metadata: dict[str, Any] = {}
    if settings.t9k.marks:
        marks = {RUNTIME: digest(runtime["spec"]), PREPARED: prepared}
        # Not that Rolecall manages them: the platform's own objects inherit these labels.
        labels = {
            **make.labels,
            **make.selector(SERVER),
            pods.VOLUME_LABEL: pods.claim(settings),
        }
        metadata = {"labels": labels, "annotations": {**make.annotations, **marks}}
    return given({"metadata": metadata, "spec": spec})


def _refuse_what_is_not_there(settings: K8s) -> None:
    """Settings that the platform has no place for would otherwise be lost without a word."""
    lost = {
        "ingress": bool(settings.ingress.host),
        "gateway": bool(settings.gateway.name),
        "autoscale": settings.autoscale.enabled,
        "service_monitor": settings.service_monitor.enabled,
        "service.type": settings.service.type != "ClusterIP",
        "network_policy.deny_egress": settings.network_policy.deny_egress,
    }
    for name, is_set in lost.items():
        if is_set:
            raise ConfigError(
                f"k8s.{name} is set, and flavour t9k has none: the platform itself sees to that",
                "leave it out, or set k8s.flavour to kubernetes",
            )
