"""Pods that may not even be made: quotas, policies, limits, missing accounts.

Words: Kubernetes 1.34, pkg/controller/replicaset and pkg/controller/controller_utils.go
(``FailedCreate``), and of the admission plugins that refuse: resourcequota, limitranger,
podsecurity, serviceaccount, priority.
"""

from __future__ import annotations

import re

from rolecall.cluster.diagnosis.objects import one_line
from rolecall.cluster.diagnosis.trouble import Hope, Trouble

_FORBIDDEN = re.compile(r'^(?:Error creating: )?(?:pods? "[^"]*" is forbidden: )?')


def creation_trouble(message: str) -> Trouble:
    """Why a controller cannot make the pods of its workload."""
    words = _FORBIDDEN.sub("", one_line(message))
    case, what, hint, hope = _meaning(words)
    return Trouble(case, "the pods", f"no pod can be made: {what}", hint, hope)


def _meaning(words: str) -> tuple[str, str, str, Hope]:
    if match := re.search(r"exceeded quota: ([^,]+), (.*)", words):
        return (
            "quota",
            f"the quota {match[1]} of the namespace is used up ({match[2]})",
            f"ask for less, free some, or have the quota raised: kubectl describe quota {match[1]}",
            "some",
        )
    if match := re.search(r"failed quota: ([^:]+): must specify (.*)", words):
        return (
            "quota",
            f"the quota {match[1]} wants every pod to say {match[2]}",
            "set these in the settings, as requests or limits",
            "little",
        )
    if match := re.search(r'violates PodSecurity "([^"]+)": (.*)', words):
        return (
            "policy",
            f"the namespace allows only pods of the level {match[1]}: {match[2]}",
            "keep to what it names, or have the level of the namespace changed",
            "little",
        )
    if match := re.search(r'serviceaccount "([^"]+)" not found', words):
        return (
            "policy",
            f"there is no service account {match[1]}",
            f"make it: kubectl create serviceaccount {match[1]}",
            "little",
        )
    if match := re.search(r'RuntimeClass "([^"]+)" not found', words):
        return (
            "policy",
            f"the cluster has no runtime class {match[1]}",
            "name another one in the settings: kubectl get runtimeclass lists them",
            "little",
        )
    if match := re.search(r"(?:maximum|minimum) .* usage per .*", words):
        return (
            "quota",
            f"the limit range of the namespace forbids it: {words}",
            "keep within it: kubectl describe limitrange",
            "little",
        )
    return (
        "policy",
        words,
        "the cluster refuses it: have that allowed, or change the settings",
        ("little"),
    )
