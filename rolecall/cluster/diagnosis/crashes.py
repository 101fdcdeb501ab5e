"""Containers that end: exit status, memory, and what probes had to do with it.

``OOMKilled`` and ``Error`` are the container runtime's reasons (CRI, ContainerStatus.reason);
``CrashLoopBackOff`` is kubelet 1.34's, pkg/kubelet/container/sync_result.go; its back-off goes
10, 20, 40 s and so on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rolecall.cluster.diagnosis.objects import one_line
from rolecall.cluster.diagnosis.trouble import Hope, LogsOf, Trouble

#: Restarts after which a container that ends every time will not stop doing so.
ENOUGH = 3

#: What an exit status says besides its number (bash(1) EXIT STATUS; signal(7)).
_STATUS = {
    126: "its command is there but cannot be run",
    127: "its command is not there",
    134: "it aborted (SIGABRT)",
    137: "it was killed (SIGKILL)",
    139: "it crashed (SIGSEGV)",
    143: "it was told to end (SIGTERM)",
}


def crash_trouble(
    pod: str,
    spec: Mapping[str, Any],
    status: Mapping[str, Any],
    probe: str = "",
) -> Trouble | None:
    """What a container that has ended in failure ended of; None where it has not.

    ``probe`` says which probe the kubelet restarted it for, and what that was answered.
    """
    now = (status.get("state") or {}).get("terminated")
    before = (status.get("lastState") or {}).get("terminated")
    ended = now or before
    if not ended or (not ended.get("exitCode") and not probe):
        return None
    container = str(status["name"])
    restarts = int(status.get("restartCount") or 0)
    out_of_memory = ended.get("reason") == "OOMKilled"
    what, hint = _why(container, spec, ended, probe)
    if restarts:
        what += f"; it has been started {restarts + 1} times"
    if words := one_line(str(ended.get("message") or "")):
        what += f": {words[-300:]}"
    if restarts and not now:
        hint += f"; once that is mended, kubectl delete pod {pod} has it tried again at once"
    return Trouble(
        "out of memory" if out_of_memory else "probe" if probe else "crash",
        f"container {container}",
        what,
        hint,
        _hope(restarts, again=out_of_memory or bool(now and _never(ended))),
        LogsOf(pod, container, previous=not now),
    )


def _never(ended: Mapping[str, Any]) -> bool:
    """Whether the program was not even there to be run."""
    return ended.get("exitCode") in (126, 127) or ended.get("reason") == "StartError"


def _hope(restarts: int, *, again: bool) -> Hope:
    """One end may have been the last; what is bound to come again is believed sooner."""
    enough = ENOUGH - 1 if again else ENOUGH
    return "none" if restarts >= enough else "full"


def _why(
    container: str, spec: Mapping[str, Any], ended: Mapping[str, Any], probe: str
) -> tuple[str, str]:
    status = int(ended.get("exitCode") or 0)
    if ended.get("reason") == "OOMKilled":
        limit = ((spec.get("resources") or {}).get("limits") or {}).get("memory")
        of = f"its limit of {limit}" if limit else "what the node has"
        return (
            f"container {container} was killed: it used more memory than {of} (OOMKilled)",
            f"give container {container} more memory in its limits, or less to load"
            if limit
            else f"give container {container} a memory request that a node can keep",
        )
    if probe:
        return (
            f"container {container} was restarted because {probe}",
            "its last lines say what it was doing; if it only needs longer, give it more time: "
            "failureThreshold times periodSeconds",
        )
    missing = missing_command(str(ended.get("message") or ""))
    meaning = _STATUS.get(status) or ("its command cannot be run" if _never(ended) else "")
    because = f": {meaning}" if meaning else ""
    return f"container {container} ended with status {status}{because}", (
        missing or "its last lines say why"
    )


def missing_command(words: str) -> str:
    """What to do where a runtime says that a command is not in its image; empty where not."""
    match = re.search(r'exec: "([^"]+)": .*(?:not found|no such file)', words)
    return f"the image has no {match[1]}: check its command and the image" if match else ""
