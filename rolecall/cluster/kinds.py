"""Where the API has the objects of a kind."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rolecall.cluster.objects import Question

#: Plurals of kinds that every cluster has (Kubernetes 1.23 and later), so that nobody asks.
_PLAIN = {
    "v1": "ConfigMap Event PersistentVolumeClaim Pod Secret Service ServiceAccount",
    "apps/v1": "ControllerRevision Deployment ReplicaSet",
    "batch/v1": "Job",
    "autoscaling/v2": "HorizontalPodAutoscaler",
    "policy/v1": "PodDisruptionBudget",
    "networking.k8s.io/v1": "Ingress NetworkPolicy",
    "coordination.k8s.io/v1": "Lease",
    "discovery.k8s.io/v1": "EndpointSlice",
}


@dataclass(frozen=True)
class Place:
    """Of a kind: its name in paths, and whether its objects belong to namespaces."""

    plural: str
    namespaced: bool = True

    def path(self, api_version: str, namespace: str, name: str = "") -> str:
        """The path of an object, or of all."""
        root = "/api/v1" if api_version == "v1" else f"/apis/{api_version}"
        space = f"/namespaces/{namespace}" if self.namespaced else ""
        return f"{root}{space}/{self.plural}{f'/{name}' if name else ''}"


_KNOWN = {
    (version, kind): Place(
        f"{kind.lower()}es"
        if kind == "Ingress"
        else (f"{kind.lower()[:-1]}ies" if kind.endswith("y") else f"{kind.lower()}s")
    )
    for version, kinds in _PLAIN.items()
    for kind in kinds.split()
}


def api_version(kind: str) -> str:
    """The API version of a kind that every cluster has; empty for any other."""
    return next((version for version, known in _KNOWN if known == kind), "")


class Kinds:
    """The kinds of one cluster; of those that not every cluster has, it is asked once.

    What it said is kept in ``folder``, by server. A kind that it no longer has answers like one
    without objects, so an old answer does no harm.
    """

    def __init__(self, server: str, folder: Path, ask: Callable[[str], dict[str, Any] | None]):
        self._file = folder / f"{hashlib.sha256(server.encode()).hexdigest()[:16]}.json"
        self._ask = ask
        self._lock = threading.Lock()
        self._found: dict[str, dict[str, list[Any]]] | None = None

    def place(self, question: Question) -> Place | None:
        """Where objects of that kind are; None where the cluster does not know it."""
        version, kind = question.api_version, question.kind
        if place := _KNOWN.get((version, kind)):
            return place
        with self._lock:
            known = self._read().get(version, {}).get(kind)
        if known is None:  # asked without the lock: kinds of several groups, side by side
            said = self._ask("/api/v1" if version == "v1" else f"/apis/{version}")
            if said is None:
                return None
            resources = {
                one["kind"]: [one["name"], one["namespaced"]]
                for one in said.get("resources", [])
                if "/" not in one["name"]
            }
            known = resources.get(kind)
            with self._lock:
                self._read()[version] = resources
                self._write(self._read())
        return Place(*known) if known else None

    def _read(self) -> dict[str, dict[str, list[Any]]]:
        if self._found is None:
            try:
                kept = json.loads(self._file.read_text()).items()
                self._found = {
                    version: {
                        kind: [str(name), bool(spaced)] for kind, (name, spaced) in of.items()
                    }
                    for version, of in kept
                }
            except (OSError, ValueError, TypeError, AttributeError):  # or of another making
                self._found = {}
        return self._found

    def _write(self, found: dict[str, dict[str, list[Any]]]) -> None:
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            beside = self._file.with_suffix(f".{threading.get_ident()}")
            beside.write_text(json.dumps(found))
            beside.replace(self._file)
