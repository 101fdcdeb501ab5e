"""Why a container of a pod does not run, or runs and is not ready.

Reasons: kubelet 1.34, pkg/kubelet/kuberuntime/kuberuntime_container.go and
pkg/kubelet/container/sync_result.go; probes' words: pkg/kubelet/prober/prober.go and pkg/probe.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rolecall.cluster.diagnosis import images
from rolecall.cluster.diagnosis.crashes import crash_trouble, missing_command
from rolecall.cluster.diagnosis.objects import latest, one_line, said
from rolecall.cluster.diagnosis.objects import name as _name
from rolecall.cluster.diagnosis.trouble import LogsOf, Trouble
from rolecall.cluster.objects import Object

#: The kubelet could not make the container out of its description.
CONFIG = frozenset({"CreateContainerConfigError", "CreateContainerError"})

#: The runtime could not start it.
START = frozenset(
    {"RunContainerError", "PreCreateHookError", "PreStartHookError", "PostStartHookError"}
)

#: How the API calls the probes, by the name that the kubelet has for each.
PROBES = {"Startup": "startupProbe", "Readiness": "readinessProbe", "Liveness": "livenessProbe"}

#: Knative's proxy asks the user's container, and is not ready before it is
#: (knative/serving, pkg/reconciler/revision/resources: QueueContainerName, UserContainerName).
SPEAKERS = {"queue-proxy": "user-container"}

_UNHEALTHY = re.compile(r"(Startup|Readiness|Liveness) probe (?:failed|errored[^:]*): ?(.*)")
_KILLED = re.compile(r"failed (startup|liveness) probe", re.IGNORECASE)


def container_report(
    pod: Object,
    spec: Mapping[str, Any],
    status: Mapping[str, Any],
    events: Sequence[Object],
) -> tuple[str, Trouble | None]:
    """What a container does now, such as ``container x is being made``, and what is wrong with it.

    ``events`` are its pod's, the latest first. The words are empty where all is well.
    """
    name = str(spec["name"])
    own = [event for event in events if _concerns(event, name)]
    state = status.get("state") or {}
    waiting = state.get("waiting") or {}
    reason = str(waiting.get("reason") or "")
    if reason in images.REASONS:
        return _said(images.image_trouble(_name(pod), name, str(spec.get("image")), waiting, own))
    if reason in CONFIG:
        return _said(_config_trouble(name, waiting))
    if reason in START:
        return _said(_start_trouble(name, waiting))
    crashed = crash_trouble(_name(pod), spec, status, _probe_kill(spec, own))
    if "running" in state:
        return _running(pod, spec, status, own, crashed)
    if crashed and ("terminated" in state or reason == "CrashLoopBackOff"):
        return _said(crashed)
    if "terminated" in state:
        return "", None
    pulling = latest(own, "Pulling", "Pulled")
    if pulling and pulling["reason"] == "Pulling":
        image = spec.get("image")
        return f"container {name} waits for its image {image}, which is being pulled", None
    return f"container {name} is being made", None


def _said(trouble: Trouble) -> tuple[str, Trouble]:
    return trouble.what, trouble


def _running(
    pod: Object,
    spec: Mapping[str, Any],
    status: Mapping[str, Any],
    events: Sequence[Object],
    crashed: Trouble | None,
) -> tuple[str, Trouble | None]:
    if status.get("ready"):
        return "", None
    answer = _answer(spec, events)
    name = str(spec["name"])
    doing = f"container {name} runs" + (f"; {answer}" if answer else ", and is not ready yet")
    if crashed:  # it runs again, and may have been mended
        count = int(status.get("restartCount") or 0) + 1
        before = f"started {count} times" if crashed.case == "probe" else f"before, {crashed.what}"
        return f"{doing}; {before}", replace(crashed, hope="full")
    if not answer:
        return doing, None
    return doing, Trouble(
        "probe",
        f"container {name}",
        f"container {name} runs, but {answer}",
        "its last lines say what it is doing",
        "full",
        LogsOf(_name(pod), speaker(name)),
    )


def speaker(container: str) -> str:
    """The container whose lines say what another one waits for."""
    return SPEAKERS.get(container, container)


def _concerns(event: Object, container: str) -> bool:
    """Whether an event is of this container, or of the whole pod."""
    path = str((event.get("involvedObject") or {}).get("fieldPath") or "")
    return not path or path.endswith(f"{{{container}}}")


def _answer(spec: Mapping[str, Any], events: Sequence[Object]) -> str:
    """What a probe asks and was answered the last time, where that was no good answer."""
    for event in events:
        if event.get("reason") == "Unhealthy" and (match := _UNHEALTHY.match(said(event))):
            probe = spec.get(PROBES[match[1]]) or {}
            return f"its {match[1].lower()} probe{_asks(probe)} says: {match[2] or 'nothing'}"
    return ""


def _asks(probe: Mapping[str, Any]) -> str:
    if get := probe.get("httpGet"):
        return f" (GET {get.get('path', '/')} on port {get.get('port')})"
    if tcp := probe.get("tcpSocket"):
        return f" (port {tcp.get('port')})"
    if command := (probe.get("exec") or {}).get("command"):
        return f" ({' '.join(command)})"
    return ""


def _probe_kill(spec: Mapping[str, Any], events: Sequence[Object]) -> str:
    """For which probe the kubelet has killed the container; empty where for none."""
    match = _KILLED.search(said(latest(events, "Killing")))
    if not match:
        return ""
    kind = match[1].capitalize()
    probe = spec.get(PROBES[kind]) or {}
    seconds = int(probe.get("failureThreshold", 3)) * int(probe.get("periodSeconds", 10))
    answers = (_UNHEALTHY.match(said(event)) for event in events)
    words = next((answer[2] for answer in answers if answer and answer[1] == kind), "")
    because = f": {words}" if words else ""
    return f"its {match[1]} probe{_asks(probe)} did not pass within {seconds} s{because}"


def _config_trouble(container: str, waiting: Mapping[str, Any]) -> Trouble:
    message = one_line(str(waiting.get("message") or waiting["reason"]))
    hint = "correct what it says in the settings"
    if match := re.search(r"(secret|configmap) \"([^\"]+)\" not found", message, re.IGNORECASE):
        hint = f"make the {match[1].lower()} {match[2]} in this namespace, or name another one"
    elif match := re.search(r"find key (\S+) in (Secret|ConfigMap) (\S+)", message):
        hint = f"add the key {match[1]} to the {match[2].lower()} {match[3]}, or name another one"
    elif "runAsNonRoot" in message or "non-root policy" in message:
        hint = "give runAsUser a number other than 0, or use an image with a user of its own"
    return Trouble(
        "configuration",
        f"container {container}",
        f"container {container} cannot be made: {message}",
        hint,
        "little",
    )


def _start_trouble(container: str, waiting: Mapping[str, Any]) -> Trouble:
    message = one_line(str(waiting.get("message") or waiting["reason"]))
    return Trouble(
        "start",
        f"container {container}",
        f"container {container} cannot be started: {message}",
        missing_command(message) or "check its command and the image",
        "little",
    )
