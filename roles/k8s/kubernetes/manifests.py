"""Flavour ``kubernetes``: a Deployment, and all that belongs to it."""

from __future__ import annotations

from rolecall.api import Host
from roles.k8s.kubernetes import pods, prepare
from roles.k8s.kubernetes.network import network
from roles.k8s.kubernetes.scaling import scaling
from roles.k8s.kubernetes.workload import deployment
from roles.k8s.labels import SERVER
from roles.k8s.manifests import Manifests
from roles.k8s.objects import SHORT, Maker, digest
from roles.k8s.pod_inventory import SERVING, pod_inventory
from roles.k8s.secrets import secrets
from roles.k8s.settings import K8s


def kubernetes(host: Host) -> Manifests:
    """The objects of ``host``'s service.

    Raises:
        ConfigError: no image is set.
    """
    settings, make = host.settings(K8s), Maker.of(host)
    serving = pod_inventory(host, SERVING, pods.DATA)
    filling = prepare.filling(host, make, pods.DATA)
    config = f"{settings.name}-config-{digest(serving.files)[:SHORT]}"
    return Manifests(
        claim=pods.claim(settings),
        prepare_digest=filling.content,
        secrets=tuple(secrets(make, settings, serving.secrets)),
        config=pods.config_map(make, config, SERVER, serving),
        prepare_config=filling.config,
        volume=prepare.volume(make, settings),
        prepare=filling.job,
        workload=(deployment(host, make, serving, config, filling.content),),
        others=(
            *pods.service_account(make, settings, SERVER),
            *network(host, make),
            *scaling(host, make),
        ),
    )
