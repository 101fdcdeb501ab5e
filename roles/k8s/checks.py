"""What the checks of a cluster ask, and how they tell what they found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from rolecall.api import ClusterReady, Host, Resource, Skip
from rolecall.cluster.objects import Object
from rolecall.resources.cluster_object import WORKLOADS
from roles.k8s.manifests import manifests
from roles.k8s.role import k8s

if TYPE_CHECKING:
    from rolecall.verify.cluster import ClusterView

#: A container that ended badly is told of for so long: what happened weeks ago is history.
LATELY = timedelta(minutes=10)

#: The label of an EndpointSlice that names its Service (discovery.k8s.io/v1).
SERVICE = "kubernetes.io/service-name"


def declared(host: Host) -> list[Resource | Skip]:
    """What the role declares, but for the waiting."""
    return [one for one in k8s.resources(host) if not isinstance(one, ClusterReady)]


def workloads(host: Host) -> list[Object]:
    """The manifests of what runs pods."""
    return [one for one in manifests(host).workload if one["kind"] in WORKLOADS]


def images(host: Host) -> dict[str, str]:
    """The declared image of each container of the pods that serve."""
    templates = [
        template
        for manifest in manifests(host).workload
        if (template := manifest["spec"].get("template"))
    ]
    containers = [one for template in templates for one in template["spec"].get("containers", ())]
    return {str(one["name"]): str(one["image"]) for one in containers}


def other_images(pods: Iterable[Object], wanted: Mapping[str, str]) -> Iterator[str]:
    """What runs another image than the declared one, a line each."""
    for pod in pods:
        for container in pod["spec"]["containers"]:
            image = wanted.get(container["name"])
            if image and not _is_of(str(container["image"]), image):
                name = f"{pod['metadata']['name']}/{container['name']}"
                yield f"  {name} runs {container['image']}, and should run {image}"


def _is_of(running: str, wanted: str) -> bool:
    """Whether an image is the one wanted; Knative puts the digest in the tag's place."""
    if running == wanted:
        return True
    name, _, digest = running.partition("@")
    return bool(digest) and "@" not in wanted and name == _untagged(wanted)


def _untagged(image: str) -> str:
    folder, slash, name = image.rpartition("/")
    return f"{folder}{slash}{name.partition(':')[0]}"


def failures(pods: Iterable[Object]) -> Iterator[str]:
    """Containers that do not run, or ended lately and were started again, a line each."""
    since = datetime.now(timezone.utc) - LATELY
    for pod in pods:
        name = pod["metadata"]["name"]
        status: Mapping[str, Any] = pod.get("status") or {}
        for one in status.get("containerStatuses") or ():
            state: Mapping[str, Any] = one.get("state") or {}
            last = (one.get("lastState") or {}).get("terminated") or {}
            if (waiting := state.get("waiting")) is not None:
                yield f"  {name}/{one['name']} does not run: {_reason(waiting)}"
            elif (ended := state.get("terminated")) is not None:
                yield f"  {name}/{one['name']} has ended: {_reason(ended)}"
            elif last and _moment(last.get("finishedAt")) > since:
                times = one.get("restartCount", 0)
                yield (
                    f"  {name}/{one['name']} was started again {times} times, lately at "
                    f"{last['finishedAt']}: {_reason(last)}"
                )


def _reason(state: Mapping[str, Any]) -> str:
    words = [str(state.get("reason") or "no reason is given")]
    if "exitCode" in state:
        words.append(f"status {state['exitCode']}")
    if message := " ".join(str(state.get("message") or "").split()):
        words.append(message)
    return ", ".join(words)


def _moment(text: str | None) -> datetime:
    if not text:
        return datetime.min.replace(tzinfo=timezone.utc)
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def endpoints(cluster: ClusterView, service: str) -> set[str]:
    """The names of the pods that a Service leads to, those that take requests."""
    return {
        str((one.get("targetRef") or {}).get("name") or one["addresses"][0])
        for found in cluster.list("EndpointSlice", {SERVICE: service})
        for one in found.get("endpoints") or ()
        if (one.get("conditions") or {}).get("ready", True)
    }
