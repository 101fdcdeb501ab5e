"""What a pod is doing, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rolecall.cluster.diagnosis.containers import container_report, speaker
from rolecall.cluster.diagnosis.objects import condition, events_of, latest, name, said, status
from rolecall.cluster.diagnosis.scheduling import scheduling_trouble
from rolecall.cluster.diagnosis.trouble import LogsOf, Trouble
from rolecall.cluster.diagnosis.volumes import mount_trouble
from rolecall.cluster.objects import Object

#: Pods of a workload that nodes turned out, after which the next one will fare no better.
TURNED_OUT = 3


@dataclass(frozen=True)
class PodReport:
    """A pod in one line, ``pod llm-1: …``, and its troubles, the worst cause first."""

    line: str
    troubles: tuple[Trouble, ...] = ()


def pod_report(pod: Object, events: Sequence[Object], holders: Sequence[str] = ()) -> PodReport:
    """What a pod does.

    ``events`` are those of the namespace; ``holders`` are pods of the same workload that run.
    """
    own = events_of(events, pod)
    where = (pod.get("spec") or {}).get("nodeName")
    on = f" on {where}" if where else ""
    if pod["metadata"].get("deletionTimestamp"):
        return PodReport(f"pod {name(pod)}{on}: is ending")
    if _is_over(pod):
        return _over(pod, own, on)
    if is_ready(pod):
        return PodReport(f"pod {name(pod)}{on}: ready")
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        trouble = scheduling_trouble(pod, scheduled, own, holders)
        return PodReport(f"pod {name(pod)}: waits for a node: {trouble.what}", (trouble,))
    if not where:
        return PodReport(f"pod {name(pod)}: waits for the scheduler")
    doing, troubles = _containers(pod, own)
    if mount := mount_trouble(own):
        return PodReport(f"pod {name(pod)}{on}: {mount.what}", (mount, *troubles))
    if sandbox := _sandbox_trouble(own):
        return PodReport(f"pod {name(pod)}{on}: {sandbox.what}", (sandbox, *troubles))
    return PodReport(f"pod {name(pod)}{on}: {doing or 'is being set up'}", troubles)


def is_ready(pod: Object) -> bool:
    """Whether a pod takes requests."""
    return condition(pod, "Ready").get("status") == "True" and not pod["metadata"].get(
        "deletionTimestamp"
    )


def turned_out(pods: Sequence[Object]) -> list[Object]:
    """The pods that a node evicted or refused."""
    return [
        pod for pod in pods if status(pod).get("phase") == "Failed" and status(pod).get("reason")
    ]


def started(pod: Object) -> list[tuple[LogsOf, int, bool]]:
    """The containers of a pod that have begun: which, how often before, whether it goes on."""
    found: list[tuple[LogsOf, int, bool]] = []
    for _, container in _statuses(pod):
        state = container.get("state") or {}
        if "running" in state or "terminated" in state:
            logs_of = LogsOf(name(pod), str(container["name"]))
            found.append((logs_of, int(container.get("restartCount") or 0), "running" in state))
    return found


def unready(pod: Object) -> LogsOf | None:
    """The container that a pod is waiting for, if it has begun to run."""
    for _, container in _statuses(pod):
        state = container.get("state") or {}
        if "running" in state and not container.get("ready"):
            return LogsOf(name(pod), speaker(str(container["name"])))
        if (container.get("lastState") or {}).get("terminated") and not container.get("ready"):
            return LogsOf(name(pod), str(container["name"]), previous=True)
    return None


def _is_over(pod: Object) -> bool:
    return status(pod).get("phase") in ("Succeeded", "Failed")


def _over(pod: Object, events: Sequence[Object], on: str) -> PodReport:
    if status(pod).get("phase") == "Succeeded":
        return PodReport(f"pod {name(pod)}{on}: done")
    if not (reason := status(pod).get("reason")):
        doing, troubles = _containers(pod, events)
        said_so = troubles[0].what if troubles else doing or "has failed"
        return PodReport(f"pod {name(pod)}{on}: {said_so}", troubles)
    message = str(status(pod).get("message") or "").strip()
    words = f"{reason}: {message}" if message else str(reason)
    return PodReport(
        f"pod {name(pod)}{on}: {_turned_out(str(reason))}: {words}",
        (
            Trouble(
                "turned out",
                "the pod",
                f"{_turned_out(str(reason))}{on} ({words})",
                _turned_out_hint(str(reason), message),
                "full",
            ),
        ),
    )


def _turned_out(reason: str) -> str:
    """Kubelet 1.34: pkg/kubelet/eviction (Evicted), pkg/kubelet/lifecycle (the others)."""
    return {
        "Evicted": "the pod was evicted",
        "Preempting": "the pod made room for a more important one",
        "Terminated": "the node was shut down",
        "NodeShutdown": "the node was shut down",
        "NodeLost": "the node is lost",
        "DeadlineExceeded": "the pod ran longer than it may",
    }.get(reason, "the node refused the pod")


def _turned_out_hint(reason: str, message: str) -> str:
    if reason == "UnexpectedAdmissionError":
        return "the node's device plugin could not give what was asked for: see its logs"
    if "ephemeral" in message or "EmptyDir" in message:
        return "raise the limit that it names, or write less outside of the volume"
    if reason == "Evicted":
        return "the node ran short: ask for what the pod really needs, or choose a larger node"
    return ""


def _containers(pod: Object, events: Sequence[Object]) -> tuple[str, tuple[Trouble, ...]]:
    """What the first container that is not yet as it should be does, and all their troubles."""
    doing, troubles = "", []
    for spec, container in _statuses(pod):
        said_so, trouble = container_report(pod, spec, container, events)
        if said_so and not trouble and _runs_before_the_others(pod, spec, container):
            said_so = f"container {spec['name']} runs first"
        if trouble:
            troubles.append(trouble)
        doing = doing or said_so
    return doing, tuple(troubles)


def _statuses(pod: Object) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Containers and their states, in the order in which they start."""
    found: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
    for kind in ("initContainers", "containers"):
        specs = {spec["name"]: spec for spec in (pod.get("spec") or {}).get(kind) or ()}
        states = status(pod).get(f"{kind[:-1]}Statuses") or ()
        by_name = {one["name"]: one for one in states}
        found += [(specs[key], by_name[key]) for key in specs if key in by_name]
    return found


def _runs_before_the_others(
    pod: Object, spec: Mapping[str, Any], container: Mapping[str, Any]
) -> bool:
    first = (pod.get("spec") or {}).get("initContainers") or ()
    return spec in first and "running" in (container.get("state") or {})


def _sandbox_trouble(events: Sequence[Object]) -> Trouble | None:
    event = latest(events, "FailedCreatePodSandBox", "NetworkNotReady")
    if event is None or latest(events, "Started", "Pulling", event["reason"]) is not event:
        return None
    return Trouble(
        "network",
        "the pod",
        f"the node cannot set the pod up: {said(event)}",
        "see the node's network plugin and container runtime",
        "some",
    )
