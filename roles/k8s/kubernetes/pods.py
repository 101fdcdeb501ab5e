"""The pods of a service, those that serve and the Job's: what they have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rolecall.api import ConfigError, Host
from rolecall.cluster.objects import Object
from roles.k8s.objects import Maker, given
from roles.k8s.pod_inventory import PLACE, PROJECT, PodInventory
from roles.k8s.secrets import pull_secrets, secret_name
from roles.k8s.settings import K8s, Security
from roles.k8s.values import REQUIRED

#: Where an image of ours expects its volume (docker/).
DATA = "/data"

#: The label of all pods that mount the volume, by which they find the node that has it.
VOLUME_LABEL = "rolecall.dev/volume"

#: How a container image of ours is told to have the project's programs.
_IMAGE_HINT = (
    "./inv image --build --recipe GROUP --push REGISTRY/NAME makes one and says its name; then "
    "set it in group_vars, or --set k8s.image=NAME"
)

_INVENTORY = {"name": "inventory", "mountPath": PLACE, "readOnly": True}


@dataclass(frozen=True)
class Pod:
    """What is particular to a pod.

    Attributes:
        container: its name.
        config: the ConfigMap that holds ``inventory``.
        mount: where the volume is mounted, and the home directory.
        fields: of the container, further ones.
        beside: containers that run beside it, made by :func:`reading`.
    """

    container: str
    image: str
    component: str
    args: tuple[str, ...]
    inventory: PodInventory
    config: str
    resources: Mapping[str, Any]
    annotations: Mapping[str, str]
    fields: Mapping[str, Any]
    shm_size: str = ""
    mount: str = DATA
    beside: tuple[Mapping[str, Any], ...] = ()


def needed_image(image: str, setting: str = "k8s.image") -> str:
    """``image``, if there is one.

    Raises:
        ConfigError: there is none.
    """
    if not image:
        raise ConfigError(f"{setting} is not set: which image are the pods to run?", _IMAGE_HINT)
    return image


def claim(settings: K8s) -> str:
    """The name of the volume's claim."""
    return settings.volume.claim or f"{settings.name}-data"


def template(host: Host, make: Maker, pod: Pod, **spec: Any) -> dict[str, Any]:
    """A pod template; ``spec`` are further fields of its specification."""
    settings = host.settings(K8s)
    labels = {**make.all_labels(pod.component), VOLUME_LABEL: claim(settings)}
    metadata = {"labels": labels, "annotations": {**make.annotations, **pod.annotations}}
    scheduling = settings.scheduling
    return {
        "metadata": given(metadata),
        "spec": given(
            {
                "serviceAccountName": settings.service_account or settings.name,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "imagePullSecrets": pull_secrets(settings),
                "nodeSelector": scheduling.node_selector,
                "tolerations": list(scheduling.tolerations),
                "affinity": _affinity(settings, pod),
                "priorityClassName": scheduling.priority_class,
                "runtimeClassName": scheduling.runtime_class,
                "securityContext": _pod_security(settings.security),
                "containers": [_container(settings, pod), *pod.beside],
                "volumes": _volumes(settings, pod),
                **spec,
            }
        ),
    }


def _container(settings: K8s, pod: Pod) -> dict[str, Any]:
    mounts: list[Mapping[str, Any]] = [
        {"name": "data", "mountPath": pod.mount},
        _INVENTORY,
        {"name": "tmp", "mountPath": "/tmp"},
        *([{"name": "shm", "mountPath": "/dev/shm"}] if pod.shm_size else []),
    ]
    return _described(settings, pod, pod.container, pod.args, mounts, pod.resources, pod.fields)


def reading(
    settings: K8s,
    pod: Pod,
    name: str,
    args: tuple[str, ...],
    resources: Mapping[str, Any],
    fields: Mapping[str, Any],
) -> dict[str, Any]:
    """A container beside a pod's own: of the same image, and it only reads the volume.

    Its temporary files are its own, in the volume ``tmp-NAME``.
    """
    mounts: list[Mapping[str, Any]] = [
        {"name": "data", "mountPath": pod.mount, "readOnly": True},
        _INVENTORY,
        {"name": f"tmp-{name}", "mountPath": "/tmp"},
    ]
    return _described(settings, pod, name, args, mounts, resources, fields)


def _described(
    settings: K8s,
    pod: Pod,
    name: str,
    args: tuple[str, ...],
    mounts: list[Mapping[str, Any]],
    resources: Mapping[str, Any],
    fields: Mapping[str, Any],
) -> dict[str, Any]:
    secret = secret_name(settings)
    variables = {"HOME": pod.mount, **settings.env}
    env: list[dict[str, Any]] = [{"name": name, "value": text} for name, text in variables.items()]
    env += [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": name}}}
        for name in sorted(pod.inventory.secrets)
    ]
    return given(
        {
            "name": name,
            "image": pod.image,
            "imagePullPolicy": settings.image_pull_policy,
            "workingDir": PROJECT,
            "args": list(args),
            "env": env,
            "resources": resources,
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": settings.security.read_only_root,
            },
            "volumeMounts": mounts,
            **fields,
        }
    )


def _volumes(settings: K8s, pod: Pod) -> list[dict[str, Any]]:
    items = [{"key": key(path), "path": path} for path in sorted(pod.inventory.files)]
    return [
        {"name": "data", "persistentVolumeClaim": {"claimName": claim(settings)}},
        {"name": "inventory", "configMap": {"name": pod.config, "items": items}},
        {"name": "tmp", "emptyDir": {}},
        *({"name": f"tmp-{one['name']}", "emptyDir": {}} for one in pod.beside),
        *([shm(pod.shm_size)] if pod.shm_size else []),
    ]


def shm(size: str) -> dict[str, Any]:
    """A volume in memory."""
    return {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": size}}


def key(path: str) -> str:
    """A file of an inventory as a ConfigMap's key, which may have no slash."""
    return path.replace("/", ".")


def _pod_security(settings: Security) -> dict[str, Any]:
    group = settings.group or settings.user
    return given(
        {
            "runAsNonRoot": True,
            "runAsUser": settings.user,
            "runAsGroup": group,
            "fsGroup": group,
            # A volume of 100 GiB is gone through once, not at each start.
            "fsGroupChangePolicy": "OnRootMismatch" if group else None,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
    )


def _affinity(settings: K8s, pod: Pod) -> dict[str, Any]:
    """That of the settings for pods that serve; and the node that has the volume, for all.

    A term that a pod's own labels match does not keep the first such pod waiting (kubernetes.io,
    inter-pod affinity).
    """
    own = settings.scheduling.affinity if pod.component == "server" else {}
    if not settings.volume.pinned:
        return dict(own)
    together: dict[str, Any] = {
        "labelSelector": {"matchLabels": {VOLUME_LABEL: claim(settings)}},
        "topologyKey": "kubernetes.io/hostname",
    }
    pods = own.get("podAffinity", {})
    return {**own, "podAffinity": {**pods, REQUIRED: [*pods.get(REQUIRED, []), together]}}


def config_map(make: Maker, name: str, component: str, inventory: PodInventory) -> Object:
    """The immutable ConfigMap with an inventory."""
    data = {key(path): text for path, text in inventory.files.items()}
    body = {"immutable": True, "data": data}
    return make.manifest("v1", "ConfigMap", name, component, body)


def commands(tasks: Iterable[str]) -> tuple[str, ...]:
    """The command line that runs tasks of the project, one after the other."""
    # An option belongs to the task in front of it.
    return ("./inv", *(word for task in tasks for word in (task, "--inventory", PLACE)))


def service_account(make: Maker, settings: K8s, component: str) -> Iterator[Object]:
    """An account of the pods' own, without rights; none where the settings name one."""
    if not settings.service_account:
        body = {"automountServiceAccountToken": False}
        yield make.manifest("v1", "ServiceAccount", settings.name, component, body)
