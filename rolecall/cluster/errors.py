"""What a cluster's API refuses, by kind (meta/v1, Status)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rolecall.cluster.objects import Ref
from rolecall.errors import ConfigError, RolecallError


@dataclass(frozen=True)
class Owned:
    """A field that is somebody else's, and whose."""

    field: str
    manager: str


class Conflict(RolecallError):  # noqa: N818 - as the API calls it
    """Fields that an apply would set are owned by others, or an object has moved on meanwhile."""

    def __init__(self, message: str, hint: str, fields: tuple[Owned, ...] = ()) -> None:
        super().__init__(message, hint)
        self.fields = fields


class Invalid(RolecallError):  # noqa: N818
    """An object is not acceptable. ``immutable`` are the fields that cannot be changed."""

    def __init__(self, message: str, hint: str, immutable: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint)
        self.immutable = immutable


class Busy(RolecallError):  # noqa: N818
    """The cluster cannot say now: it is overloaded, or its own parts do not answer it."""


class Forbidden(RolecallError):  # noqa: N818
    """The cluster does not allow it."""


class NotServed(RolecallError):  # noqa: N818
    """The cluster does not know the kind."""


class NotFound(RolecallError):  # noqa: N818
    """There is no such object."""


def not_served(ref: Ref) -> NotServed:
    """The error for an object of a kind that the cluster does not know."""
    ways = {
        "monitoring.coreos.com": "install the Prometheus operator, or set "
        "k8s.service_monitor.enabled to false",
        "gateway.networking.k8s.io": "install the Gateway API, or leave k8s.gateway out",
        "tensorstack.dev": "this cluster has no TensorStack T9k: set k8s.flavour to kubernetes",
    }
    return NotServed(
        f"the cluster does not know {ref.kind} ({ref.api_version})",
        ways.get(ref.group, "kubectl api-resources lists what it knows"),
    )


def no_cluster(server: str, path: str) -> RolecallError:
    """The error for a server that lacks what every API server lists."""
    return RolecallError(
        f"{server} is no Kubernetes API server: it has nothing at {path}",
        "see the server of this context in the kubeconfig: kubectl config view",
    )


def refused(status: int, said: Mapping[str, Any], verb: str, ref: Ref) -> RolecallError:
    """The error that a Status of the API means, for ``verb`` on ``ref``."""
    message = _sentence(str(said.get("message") or f"status {status}"))
    if ref.kind == "Secret":  # a value of the wrong type is quoted by the server
        message = message.partition(", got ")[0]
    details = said.get("details") or {}
    causes = [one for one in details.get("causes") or [] if isinstance(one, dict)]
    space = f" in namespace {ref.namespace}" if ref.namespace else ""
    if status == 401:
        return RolecallError(
            "the cluster does not know who you are: the kubeconfig's credentials are refused",
            "log in again: they may have expired",
        )
    if status == 403:
        return _forbidden(message, verb, ref, space)
    if status == 404:
        return _not_found(message, details, ref)
    if status == 409:
        return _conflict(message, causes, ref)
    if status == 422:
        return _invalid(message, causes, ref)
    if status == 400 or "failed to create typed patch object" in message:
        return Invalid(f"{ref}: {message}", "correct the setting that it comes from")
    text = f"the cluster cannot {verb} {ref}{space}: {message}"
    return (Busy if status == 429 or status >= 500 else RolecallError)(text, "try again")


def _forbidden(message: str, verb: str, ref: Ref, space: str) -> RolecallError:
    if "being terminated" in message:
        return ConfigError(
            f"the namespace {ref.namespace} is being deleted, and takes nothing new",
            "wait until it is gone and make it again, or correct k8s_namespace",
        )
    if (" is forbidden: " in message and 'User "' not in message) or "admission webhook" in message:
        # By admission, which is about the object; authorization is about who asks
        # (apiserver/pkg/endpoints/handlers/responsewriters/errors.go of Kubernetes).
        ways = {
            "PersistentVolumeClaim": "leave k8s.volume.size as it is, or see why it cannot grow"
        }
        way = ways.get(ref.kind, "") if "resize" in message else ""
        return Invalid(f"{ref}{space}: {message}", way or "the cluster's own rules refuse it")
    return Forbidden(
        f"the cluster does not allow to {verb} {ref}{space}: {message}",
        "ask for a role with this right; docs/kubernetes.md has one that is enough",
    )


def _not_found(message: str, details: Mapping[str, Any], ref: Ref) -> RolecallError:
    if details.get("kind") == "namespaces":
        return ConfigError(
            f"there is no namespace {ref.namespace} in the cluster",
            f"make it (kubectl create namespace {ref.namespace}), or correct k8s_namespace",
        )
    if details.get("name"):
        return NotFound(f"there is no {ref}")
    return not_served(ref)


def _conflict(message: str, causes: list[dict[str, Any]], ref: Ref) -> RolecallError:
    owned = tuple(
        Owned(str(one.get("field", "")).lstrip("."), _manager(str(one.get("message", ""))))
        for one in causes
        if one.get("reason") == "FieldManagerConflict"
    )
    if not owned:
        return Conflict(f"{ref}: {message}", "run the same command again")
    lines = "\n".join(f"  {one.field}: set by {one.manager}" for one in owned)
    return Conflict(
        f"{ref}: others own fields that would change:\n{lines}", _way_beside(ref, owned), owned
    )


def _way_beside(ref: Ref, owned: tuple[Owned, ...]) -> str:
    """What to do about fields of others; of an object that is wholly theirs, use another."""
    take = "take them over: --force-conflicts"
    if ref.kind == "PersistentVolumeClaim":
        return (
            "use the claim as it is (k8s.volume.existing: true), name another (k8s.volume.claim), "
            f"or {take}"
        )
    if any(one.field == "spec.selector" for one in owned):
        return f"it leads to other pods: name the service otherwise (k8s.name), or {take}"
    return f"let them keep the fields (leave the setting out), or {take}"


def _manager(message: str) -> str:
    """The name in ``conflict with "kubectl" using apps/v1``."""
    quoted = message.split('"')
    return quoted[1] if len(quoted) > 1 else message


def _invalid(message: str, causes: list[dict[str, Any]], ref: Ref) -> RolecallError:
    fixed = tuple(
        str(one.get("field", ""))
        for one in causes
        if "immutable" in str(one.get("message", "")) or _is_of_a_claim(one, ref)
    )
    if ref.kind == "PersistentVolumeClaim" and "less than status.capacity" in message:
        sizes = tuple(str(one.get("field", "")) for one in causes)
        return Invalid(
            f"{ref}: a volume cannot shrink", "leave k8s.volume.size as it is, or larger", sizes
        )
    lines = "\n".join(
        f"  {one.get('field', '')}: {_in_short(str(one.get('message', '')))}" for one in causes[:8]
    )
    if fixed:
        return Invalid(
            f"{ref}: {', '.join(dict.fromkeys(fixed))} cannot be changed once it exists:\n{lines}",
            _way_out(ref),
            fixed,
        )
    return Invalid(f"{ref}: {message}", "correct the setting that it comes from")


def _is_of_a_claim(cause: Mapping[str, Any], ref: Ref) -> bool:
    """A claim's spec is fixed but for its size (pkg/apis/core/validation of Kubernetes)."""
    return ref.kind == "PersistentVolumeClaim" and cause.get("field") == "spec"


def _way_out(ref: Ref) -> str:
    if ref.kind == "PersistentVolumeClaim":
        return (
            "set it back, or name another claim (k8s.volume.claim), which is filled anew; the old "
            "one stays until --delete-data"
        )
    space = f" -n {ref.namespace}" if ref.namespace else ""
    return (
        "is it somebody else's? Then name the service otherwise (k8s.name). Else delete it and "
        f"deploy again: kubectl delete {ref}{space}"
    )


def _in_short(message: str) -> str:
    """A message whose further lines compare two objects: what differs of them."""
    first, *rest = message.splitlines() or [""]
    differing = [f"\n    {line}" for line in rest if line[:1] in ("-", "+")]
    return "".join([first, *differing])


def _sentence(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
