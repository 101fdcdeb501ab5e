"""The volume, and the Job that fills it."""

from __future__ import annotations

from dataclasses import dataclass

from rolecall.api import Host
from rolecall.cluster.objects import Object
from rolecall.resources.cluster_prepared import PREPARED
from roles.k8s import sizing
from roles.k8s.kubernetes import pods
from roles.k8s.objects import SHORT, Maker, digest, given
from roles.k8s.pod_inventory import FILLING, PLACE, PREPARING, PodInventory, pod_inventory
from roles.k8s.settings import K8s

#: The component of the Job's pods.
COMPONENT = "prepare"


def volume(make: Maker, settings: K8s) -> Object | None:
    """The claim; None where it is somebody else's."""
    wanted = settings.volume
    if wanted.existing:
        return None
    spec = given(
        {
            "accessModes": list(wanted.access_modes),
            "resources": {"requests": {"storage": wanted.size}},
            "storageClassName": wanted.storage_class,
        }
    )
    name = pods.claim(settings)
    return make.manifest("v1", "PersistentVolumeClaim", name, "volume", {"spec": spec})


@dataclass(frozen=True)
class Filling:
    """How the volume is filled.

    Attributes:
        content: what has to lie on the volume: who makes it, from which settings, by digest.
        inventory: of the pods that fill it.
        config: the ConfigMap with that; None where no Job does it.
        job: the Job; None likewise.
    """

    content: str
    inventory: PodInventory
    config: Object | None = None
    job: Object | None = None


def filling(host: Host, make: Maker, mount: str, link: str = "") -> Filling:
    """How ``host``'s volume is filled.

    Args:
        host: the cluster.
        make: makes its manifests.
        mount: where the volume is in all pods.
        link: a path that is to lead to the model repository.

    Raises:
        ConfigError: a Job is to do it, and there is no image for it.
    """
    settings = host.settings(K8s)
    image = settings.prepare.image or settings.image
    inventory = pod_inventory(host, PREPARING, mount)
    if link:
        repo = {**inventory.variables.get("repo", {}), "link": link}
        inventory = PodInventory({**inventory.variables, "repo": repo}, inventory.secrets)
    content = digest({"image": image, "settings": inventory.filled_with()})
    if settings.prepare.by != "job":
        return Filling(content, inventory)
    config = f"{settings.name}-prepare-{digest(inventory.files)[:SHORT]}"
    pod = pods.Pod(
        container=COMPONENT,
        image=pods.needed_image(image, "k8s.prepare.image, or k8s.image,"),
        component=COMPONENT,
        args=_args(host),
        inventory=inventory,
        config=config,
        resources=sizing.prepare_resources(host),
        annotations={PREPARED: content},
        fields={},
        shm_size=sizing.shm_size(host) if settings.shm else "",
        mount=mount,
    )
    return Filling(
        content,
        inventory,
        pods.config_map(make, config, COMPONENT, inventory),
        _job(host, make, pod, content),
    )


def _job(host: Host, make: Maker, pod: pods.Pod, content: str) -> Object:
    settings = host.settings(K8s)
    spec = {
        "backoffLimit": settings.prepare.retries,
        "activeDeadlineSeconds": settings.prepare.deadline,
        "ttlSecondsAfterFinished": settings.prepare.keep,
        "template": pods.template(host, make, pod, restartPolicy="Never"),
    }
    name = f"{settings.name}-prepare-{content[:SHORT]}"
    return make.manifest("batch/v1", "Job", name, COMPONENT, {"spec": spec}, {PREPARED: content})


def _args(host: Host) -> tuple[str, ...]:
    """What the Job runs: all that the pods that serve look through.

    Without their GPUs it leaves preflight to them, which sizes the model against the GPU.
    """
    if sizing.prepare_gpus(host) == sizing.gpus(host):
        return ("./inv", "serve", "--prepare", "--inventory", PLACE)
    return pods.commands(FILLING)
