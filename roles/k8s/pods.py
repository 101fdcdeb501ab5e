"""The pods that serve, as the cluster describes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from rolecall.cluster.objects import Found, Object, Selection


def ready(pod: Object) -> bool:
    """Whether it takes requests (core/v1, PodCondition)."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def listed(found: Found) -> list[Object]:
    """Pods, those that are ready first, then the newest."""
    things = found if isinstance(found, tuple) else ()
    return sorted(things, key=lambda pod: (not ready(pod), -since(pod)))


def since(pod: Object) -> int:
    """Unix time at which it was started; 0 where it has not been."""
    text = pod.get("status", {}).get("startTime", "")
    if not text:
        return 0
    started = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    return int(started.timestamp())


def restarts(pods: Iterable[Object]) -> int:
    """How often their containers were started again."""
    return sum(
        int(container.get("restartCount", 0))
        for pod in pods
        for container in pod.get("status", {}).get("containerStatuses", [])
    )


def containers(pod: Object) -> Iterator[str]:
    """The names of its containers, in the order of its description."""
    return (str(container["name"]) for container in pod["spec"]["containers"])


def container(pod: Object, name: str) -> Mapping[str, Any]:
    """What is said of the state of one of them (core/v1, ContainerStatus); empty where nothing."""
    states = pod.get("status", {}).get("containerStatuses", [])
    return next((one for one in states if one["name"] == name), {})


def in_namespace(namespace: str, labels: tuple[tuple[str, str], ...]) -> Selection:
    """The question for the pods with certain labels."""
    return Selection("v1", "Pod", namespace, labels)
