"""Pods that no node takes, in the scheduler's words.

Messages: kube-scheduler 1.34, pkg/scheduler/framework/types.go (FitError) and the reasons of its
plugins; events ``TriggeredScaleUp`` and ``NotTriggerScaleUp``: cluster-autoscaler 1.34.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rolecall.cluster.diagnosis.objects import asked_for, latest, one_line, said
from rolecall.cluster.diagnosis.trouble import Hope, Trouble
from rolecall.cluster.objects import Object

_LACKS = re.compile(r"Insufficient ([^\s,]+)")
_TAINT = re.compile(r"untolerated taint(?:\(s\))? ?\{([^}]*)\}")
_NO_CLAIM = re.compile(r'persistentvolumeclaim "([^"]+)" not found')

#: What follows is about evicting other pods, and about claims of devices: not the reason.
_BESIDES = re.compile(
    r"\. not found$|,? ?(?:no new claims to deallocate,? ?)?preemption: .*|\. +no new claims.*"
)

#: What the scheduler's words mean, and what to do.
_MEANINGS: tuple[tuple[str, str, str], ...] = (
    (
        r"didn't match Pod's node affinity/selector",
        "no node has the labels that are asked for",
        "label a node, or change the node selector in the settings",
    ),
    (
        r"volume node affinity conflict|no available volume zone",
        "its volume is on a node, or in a zone, that cannot take it",
        "make room there, or move the volume",
    ),
    (
        r"ReadWriteOncePod",
        "its volume may be used by one pod at a time, and another one has it",
        "end the other pod, or use a volume with ReadWriteMany",
    ),
    (
        r"didn't find available persistent volumes",
        "there is no volume for it",
        "make one, or name a storage class that provides volumes",
    ),
    (
        r"unbound immediate PersistentVolumeClaims",
        "its volume is not there yet",
        "see what the claim of the volume says",
    ),
    (
        r"didn't satisfy|pod (?:anti-)?affinity|topology spread",
        "no node satisfies its rules of affinity",
        "change the affinity in the settings, or make nodes that satisfy it",
    ),
    (r"free ports", "the ports that it asks for are taken on every node", "use other ports"),
    (r"were unschedulable", "the nodes are cordoned", "kubectl uncordon one of them"),
)


def scheduling_trouble(
    pod: Object, condition: Mapping[str, Any], events: Sequence[Object], holders: Sequence[str] = ()
) -> Trouble:
    """Why no node takes a pod, by its condition ``PodScheduled``.

    ``events`` are the pod's, the latest first; ``holders`` are pods of the same workload that
    run and may have what it lacks.
    """
    message = one_line(str(condition.get("message") or ""))
    if condition.get("reason") == "SchedulingGated":
        return Trouble(
            "unschedulable",
            "the pod",
            f"the pod waits for leave to be scheduled: {message}",
            "a queue of the cluster lets it through when it is its turn",
            "full",
        )
    words = _BESIDES.sub("", message).rstrip(". ") or "the scheduler has not said why"
    lacks = list(dict.fromkeys(_LACKS.findall(words)))
    what, hint = _meaning(words, lacks, pod.get("spec") or {}, holders)
    hope: Hope = "some"
    if latest(events, "TriggeredScaleUp") is not None:
        hope, what = "full", f"{what}; the autoscaler is adding a node"
    elif refused := latest(events, "NotTriggerScaleUp"):
        hint = f"{hint}; the autoscaler adds no node: {said(refused)}"
    elif _NO_CLAIM.search(words):
        hope = "little"
    return Trouble("unschedulable", "the pod", what, hint, hope)


def _meaning(
    words: str, lacks: Sequence[str], spec: Mapping[str, Any], holders: Sequence[str]
) -> tuple[str, str]:
    if lacks:
        asked = ", ".join(f"{one} {asked_for(spec, one) or '?'}" for one in lacks)
        hint = f"free {_or(lacks)} on a node, add a node that has it, or ask for less"
        if holders:
            hint = (
                f"{', '.join(holders)} of the same workload may hold it: let an update take old "
                f"pods away first (maxSurge 0), or {hint}"
            )
        elif taint := _taint(words):
            hint = f"{hint}, or tolerate the taint {taint}"
        return f"no node has enough {_or(lacks)} free; the pod asks for {asked} ({words})", hint
    if missing := _NO_CLAIM.search(words):
        return (
            f"the volume claim {missing[1]} does not exist ({words})",
            f"make the claim {missing[1]}, or name another one",
        )
    if "no nodes available" in words or re.match(r"0/0 nodes", words):
        return f"the cluster has no node ({words})", "add a node"
    if taint := _taint(words):
        return (
            f"the nodes are kept for other pods, by the taint {taint} ({words})",
            f"tolerate the taint {taint} in the settings, or take it off a node",
        )
    for pattern, means, hint in _MEANINGS:
        if re.search(pattern, words):
            return f"{means} ({words})", hint
    return f"no node takes the pod ({words})", "kubectl describe the pod and its nodes"


def _taint(words: str) -> str:
    match = _TAINT.search(words)
    return match[1].replace(": ", "=").rstrip("=") if match else ""


def _or(names: Sequence[str]) -> str:
    return " or ".join(names)
