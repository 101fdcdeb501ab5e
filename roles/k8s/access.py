"""How the controller reaches what a cluster serves: by its address, else through the API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rolecall.api import Host, RolecallError
from rolecall.cluster.objects import INSTANCE, Found, Object, Ref, Selection
from rolecall.cluster.target import ClusterTarget
from roles.k8s import pods
from roles.k8s.labels import COMPONENT, SERVER
from roles.k8s.settings import K8s
from roles.server.client import is_ready
from roles.server.settings import Server


def serving(host: Host) -> Selection:
    """The question for the pods that serve."""
    name = host.settings(K8s).name
    return pods.in_namespace(host.fact("k8s_namespace"), ((INSTANCE, name), (COMPONENT, SERVER)))


def published(host: Host) -> Ref:
    """The object that says where the service is reached."""
    settings, namespace = host.settings(K8s), host.fact("k8s_namespace")
    if settings.flavour == "t9k":
        return Ref("tensorstack.dev/v1beta1", "MLService", settings.name, namespace)
    return Ref("v1", "Service", settings.name, namespace)


def address(host: Host, found: Found) -> str:
    """The base URL under which clients reach the service; empty where only the cluster does.

    ``found`` is what the cluster says to :func:`published`.
    """
    settings = host.settings(K8s)
    if not isinstance(found, Mapping):
        return ""
    status: Mapping[str, Any] = found.get("status", {})
    if settings.flavour == "t9k":
        return str(status.get("address", {}).get("url", "")).rstrip("/")
    return _from_outside(settings, status, "http", port(host))


def openai_address(host: Host, found: Found) -> str:
    """The base URL of the OpenAI API, as clients are given it, else as the cluster itself is.

    ``found`` is what the cluster says to :func:`published`.
    """
    settings, server = host.settings(K8s), host.settings(Server)
    status: Mapping[str, Any] = found.get("status", {}) if isinstance(found, Mapping) else {}
    outside = _from_outside(settings, status, "openai", server.openai_port)
    return f"{outside or inside(host, server.openai_port)}/v1"


def _from_outside(settings: K8s, status: Mapping[str, Any], name: str, number: int) -> str:
    """The URL that leads to a port; empty where only the cluster reaches it."""
    if settings.ingress.host and settings.ingress.port == name:
        scheme = "https" if settings.ingress.tls_secret else "http"
        return f"{scheme}://{settings.ingress.host}{settings.ingress.path}".rstrip("/")
    for point in status.get("loadBalancer", {}).get("ingress", []):
        return f"http://{point.get('hostname') or point.get('ip')}:{number}"
    return ""


def inside(host: Host, number: int = 0) -> str:
    """The base URL of a port inside the cluster; without a number, of the HTTP API."""
    name, namespace = host.settings(K8s).name, host.fact("k8s_namespace")
    return f"http://{name}.{namespace}.svc:{number or port(host)}"


@contextmanager
def reached(target: ClusterTarget, host: Host) -> Iterator[str]:
    """The base URL of the HTTP API: the service's own, else a port forwarded to one of its pods.

    Raises:
        RolecallError: no pod is ready.
    """
    found = target.api.read([published(host), serving(host)])
    url = address(host, found[0])
    if url and is_ready(url):
        yield url
        return
    with target.api.forward(
        target.namespace, ready_pod(target, host, found[1])["metadata"]["name"], port(host)
    ) as (name, local):
        yield f"http://{name}:{local}"


def ready_pod(target: ClusterTarget, host: Host, found: Found) -> Object:
    """A pod that takes requests.

    Raises:
        RolecallError: there is none.
    """
    known = pods.listed(found)
    if not known or not pods.ready(known[0]):
        raise RolecallError(
            f"nothing is served in {target.name}: of {len(known)} pods of "
            f"{host.settings(K8s).name} in namespace {target.namespace} none is ready",
            f"./inv status --hosts {target.name} shows why, ./inv deploy --hosts {target.name} "
            "brings it up",
        )
    return known[0]


def port(host: Host) -> int:
    """Of the HTTP API in a pod."""
    return host.settings(Server).http_port
