"""Images that cannot be had, in the registry's words.

Reasons: kubelet 1.34, pkg/kubelet/images/types.go; messages: image_manager.go and, within them,
those of containerd 1.6 to 2.1 and CRI-O 1.3x.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rolecall.cluster.diagnosis.objects import latest, one_line, said
from rolecall.cluster.diagnosis.trouble import Hope, Trouble
from rolecall.cluster.objects import Object

REASONS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"}
    | {"ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"}
)

#: What the registry's words mean, in the order in which they are looked for.
_CAUSES: tuple[tuple[str, str, str, Hope], ...] = (
    (
        r"never pull|pull policy of Never",
        "the node does not have it, and its pull policy forbids to pull it",
        "load the image onto the nodes, or let it be pulled: imagePullPolicy IfNotPresent",
        "little",
    ),
    (
        r"InvalidImageName|invalid reference format|couldn't parse image",
        "this is no name of an image",
        "correct the image's name in the settings",
        "none",
    ),
    (
        r"\b401\b|\b403\b|unauthorized|authentication required|access.{0,20}denied|"
        r"insufficient_scope|authorization failed|no basic auth",
        "the registry does not let this cluster have it, or has no such repository",
        "check the image's name, and give the registry's credentials as a pull secret",
        "little",
    ),
    (
        r"no match for platform|no matching manifest",
        "the registry has it for other processors only",
        "build the image for the nodes' processor, or choose other nodes",
        "none",
    ),
    (
        r"manifest unknown|manifest.{0,40}not found|: not found|NAME_UNKNOWN|"
        r"name unknown|repository.{0,60}not found",
        "the registry has no such image",
        "check the image's name and tag; push it if it is to be there",
        "little",
    ),
    (
        r"\b429\b|toomanyrequests|rate limit",
        "the registry gives no more for now: too many requests",
        "wait, log in to the registry with a pull secret, or use a mirror",
        "some",
    ),
    (
        r"no space left",
        "the node's disk is full",
        "free space on the node, or choose another one",
        "some",
    ),
    (
        r"x509|certificate",
        "the node does not trust the registry's certificate",
        "give the node's container runtime the registry's certificate authority",
        "little",
    ),
    (
        r"no such host|i/o timeout|connection refused|network is unreachable|deadline exceeded|"
        r"RegistryUnavailable|registry is unavailable|EOF|connection reset|TLS handshake|\b5\d\d\b",
        "the node cannot reach the registry",
        "check the node's way to the registry: name, proxy, mirror",
        "some",
    ),
)

_BACK_OFF = re.compile(r'^Back-off pulling image "[^"]*"(?:: )?(?:ErrImagePull: )?')
_FAILED = re.compile(r'^Failed to pull image "[^"]*": ')
_RPC = re.compile(r"rpc error: code = \w+ desc = ")


def image_trouble(
    pod: str, container: str, image: str, waiting: Mapping[str, Any], events: Sequence[Object]
) -> Trouble:
    """Why a container waits for its image. ``events`` are its pod's, the latest first."""
    reason = str(waiting["reason"])
    words = _words(one_line(str(waiting.get("message") or "")), events)
    means, hint, hope = _cause(f"{reason} {words}")
    because = f": {means}" if means else ""
    quoted = f" ({words})" if words else f" ({reason})"
    if reason == "ImagePullBackOff":
        hint += f"; then kubectl delete pod {pod} has it tried again at once"
    return Trouble(
        "image",
        f"container {container}",
        f"the image {image} of container {container} cannot be pulled{because}{quoted}",
        hint,
        hope,
    )


def _words(message: str, events: Sequence[Object]) -> str:
    """What the registry or the runtime said, without what the kubelet says around it."""
    words = _BACK_OFF.sub("", message)
    if not words:  # kubelets before 1.32 leave it to the event
        failed = latest(
            [event for event in events if _FAILED.match(str(event.get("message")))], "Failed"
        )
        words = _FAILED.sub("", said(failed))
    return _RPC.sub("", words)


def _cause(text: str) -> tuple[str, str, Hope]:
    for pattern, means, hint, hope in _CAUSES:
        if re.search(pattern, text, re.IGNORECASE):
            return means, hint, hope
    return "", "check the image's name and that the nodes can pull it", "some"
