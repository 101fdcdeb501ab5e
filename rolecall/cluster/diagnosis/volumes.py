"""Volumes that are not there: claims that are not bound, and volumes that cannot be mounted.

Reasons and words: Kubernetes 1.34, pkg/controller/volume/persistentvolume/pv_controller.go and
pkg/controller/volume/events; of mounts: pkg/kubelet/events and pkg/volume/util.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rolecall.cluster.diagnosis.objects import amounts, events_of, latest, said, status
from rolecall.cluster.diagnosis.trouble import Hope, Trouble
from rolecall.cluster.objects import Object


def claim_trouble(
    claim_name: str, claim: Object | None, events: Sequence[Object]
) -> Trouble | None:
    """Why a volume claim has no volume; None where it has one, or waits for its first pod.

    ``events`` are those of the namespace.
    """
    about = f"claim {claim_name}"
    if claim is None:
        return Trouble(
            "volume",
            about,
            f"the volume claim {claim_name} does not exist",
            f"make the claim {claim_name} in this namespace, or name another one",
            "little",
        )
    phase = status(claim).get("phase")
    if phase == "Lost":
        return Trouble(
            "volume",
            about,
            f"the volume of claim {claim_name} is lost: its PersistentVolume is gone",
            "restore the PersistentVolume, or delete the claim and fill a new one",
            "none",
        )
    if phase == "Bound":
        return None
    if not claim["spec"].get("storageClassName") and not claim["spec"].get("volumeName"):
        return Trouble(
            "volume",
            about,
            f"the claim {claim_name} has no volume: it names no storage class, the cluster has no "
            "default one, and no volume that is there fits",
            "name a storage class in the settings: kubectl get storageclass lists them",
            "little",  # a volume may just be bound to it
        )
    reported = events_of(events, claim)
    event = latest(reported, "ProvisioningFailed", "FailedBinding", "ExternalProvisioning")
    if event is None or latest(reported, "WaitForFirstConsumer", event["reason"]) is not event:
        return None
    what, hint, hope = _pending(claim, event)
    return Trouble("volume", about, f"the claim {claim_name} has no volume: {what}", hint, hope)


def _pending(claim: Object, event: Object) -> tuple[str, str, Hope]:
    words = said(event)
    storage_class = claim["spec"].get("storageClassName")
    asked = (claim["spec"].get("resources") or {}).get("requests") or {}
    if match := re.search(r'storageclass[^"]* "([^"]+)" not found', words, re.IGNORECASE):
        return (
            f"there is no storage class {match[1]}",
            "name another one in the settings: kubectl get storageclass lists them",
            "little",
        )
    if event["reason"] == "ExternalProvisioning":
        return words, f"the provisioner of storage class {storage_class} has to make it", "some"
    return (
        f"{words} (asked for: {amounts(asked)})",
        f"see the provisioner of storage class {storage_class}",
        "some",
    )


def mount_trouble(events: Sequence[Object]) -> Trouble | None:
    """Why the volumes of a pod are not mounted, by its events, the latest first."""
    event = latest(events, "FailedMount", "FailedAttachVolume", "FailedMapVolume")
    if event is None or latest(events, "Started", "Pulled", event["reason"]) is not event:
        return None
    words = said(event)
    missing = re.search(r"(secret|configmap) \"([^\"]+)\" not found", words)
    if missing:
        return Trouble(
            "configuration",
            f"{missing[1]} {missing[2]}",
            f"the {missing[1]} {missing[2]}, which the pod mounts, does not exist",
            f"make the {missing[1]} {missing[2]} in this namespace, or name another one",
            "little",
        )
    hint = "see the storage of the node"
    if "Multi-Attach" in words:
        hint = "another node uses the volume: end that pod, or use a volume with ReadWriteMany"
    return Trouble("mount", "the pod", f"a volume cannot be mounted: {words}", hint, "some")
