"""What a cluster says of itself: its objects, its pods, and what was served before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rolecall.api import Host
from rolecall.cluster.objects import Found, Object
from rolecall.cluster.run import Opened
from rolecall.cluster.target import ClusterTarget
from rolecall.resource import diff
from rolecall.resources.cluster_history import manifests_of, previous, revisions
from rolecall.resources.cluster_ready import ClusterReady
from roles.k8s import pods
from roles.k8s.access import address, inside, openai_address, published, serving
from roles.k8s.kubernetes.openai import NAME as OPENAI
from roles.k8s.kubernetes.workload import CONTAINER
from roles.k8s.settings import K8s
from roles.k8s.warning import warning
from roles.server.host_status import Earlier, HostStatus, OpenAi, by_role
from roles.server.openai.place import model_name
from roles.server.settings import Server


def cluster_status(target: ClusterTarget, opened: Opened) -> HostStatus:
    """Ask a cluster, in one more read, how its service is."""
    host = opened.host
    name = host.settings(K8s).name
    found = target.api.read([published(host), serving(host), revisions(name, target.namespace)])
    known = pods.listed(found[1])
    up = [pod for pod in known if pods.ready(pod)]
    return HostStatus(
        host.name,
        by_role(opened.steps, opened.answers),
        _state(known, up),
        bool(up) and _rolled_out(opened),
        min((pods.since(pod) for pod in up), default=0),
        pods.restarts(known),
        address(host, found[0]) or inside(host),
        True,
        "",
        _earlier(host, previous(found[2])),
        openai=_openai(host, found[0], known),
        warning=warning(host),
        image=_images(up),
        idle=_idle(host),
    )


def _idle(host: Host) -> str:
    settings = host.settings(K8s)
    if settings.serves_nothing:
        return "k8s.replicas is 0; ./inv deploy with more serves again"
    if settings.flavour == "t9k" and settings.replicas == 0:
        return "k8s.replicas is 0: the platform brings a pod up when somebody asks"
    return ""


def _openai(host: Host, service: Found, known: Sequence[Object]) -> OpenAi | None:
    settings = host.settings(Server)
    if not settings.openai:
        return None
    name = OPENAI if settings.has_front else CONTAINER
    states = [pods.container(pod, name) for pod in known]
    running = [one for one in states if "running" in one.get("state", {})]
    return OpenAi(
        openai_address(host, service),
        model_name(host),
        settings.api_key is not None,
        "running" if running else "starting" if states else "stopped",
        any(one.get("ready") for one in running),
    )


def _state(known: Iterable[Object], up: Iterable[Object]) -> str:
    if any(True for _ in up):
        return "running"
    return "starting" if any(True for _ in known) else "stopped"


def _rolled_out(opened: Opened) -> bool:
    return all(
        not diff(step.resource.desired(), opened.answers[step.number])
        for step in opened.steps
        if isinstance(step.resource, ClusterReady)
    )


def _images(up: Iterable[Object]) -> str:
    """What serves, from the volume."""
    images = {pod["spec"]["containers"][0]["image"] for pod in up}
    return ", ".join(sorted(images))


def _earlier(host: Host, revision: Object | None) -> Earlier | None:
    if revision is None:
        return None
    made = datetime.fromisoformat(revision["metadata"]["creationTimestamp"].replace("Z", "+00:00"))
    kinds = ", ".join(manifest["kind"] for manifest in manifests_of(revision))
    name = revision["metadata"]["name"]
    return Earlier("", f"{name} ({kinds})", int(made.timestamp()), "")
