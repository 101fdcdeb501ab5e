"""How others reach the pods: Service, Ingress, HTTPRoute, and who may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rolecall.api import ConfigError, Host
from rolecall.cluster.objects import Object
from roles.k8s.labels import SERVER
from roles.k8s.objects import Maker, given
from roles.k8s.settings import Gateway, Ingress, K8s
from roles.server.settings import Server


def network(host: Host, make: Maker) -> Iterator[Object]:
    """All objects of this module that are wanted."""
    settings, server = host.settings(K8s), host.settings(Server)
    _refuse_a_way_to_nothing(settings, server)
    yield _service(make, settings, server)
    if settings.service_monitor.enabled:
        yield from _monitor(make, settings, server)
    if settings.ingress.host:
        yield _ingress(make, settings)
    if settings.gateway.name:
        yield _route(make, settings, server)
    if settings.network_policy.enabled:
        yield _policy(make, settings, server)


def _refuse_a_way_to_nothing(settings: K8s, server: Server) -> None:
    for name in ("ingress", "gateway"):
        if getattr(settings, name).port == "openai" and not server.openai:
            raise ConfigError(
                f"k8s.{name}.port is openai, and server.openai is not set",
                "set server.openai to true, or leave the port out",
            )


def _service(make: Maker, settings: K8s, server: Server) -> Object:
    exposed = settings.service
    ports = [_port("http", server.http_port, "http")]
    if exposed.grpc:
        ports.append(_port("grpc", server.grpc_port, "kubernetes.io/h2c"))
    if server.openai:
        ports.append(_port("openai", server.openai_port, "http"))
    spec = {"type": exposed.type, "selector": make.selector(SERVER), "ports": ports}
    noted = exposed.annotations
    return make.manifest("v1", "Service", settings.name, SERVER, {"spec": spec}, noted)


def _port(name: str, number: int, protocol: str) -> dict[str, Any]:
    shown = {"name": name, "port": number, "targetPort": name, "protocol": "TCP"}
    return {**shown, "appProtocol": protocol}


def _monitor(make: Maker, settings: K8s, server: Server) -> Iterator[Object]:
    """A Service of its own, so that metrics are offered to nobody else, and who reads it."""
    name, component = f"{settings.name}-metrics", "metrics"
    port = _port("metrics", server.metrics_port, "http")
    spec = {"clusterIP": "None", "selector": make.selector(SERVER), "ports": [port]}
    yield make.manifest("v1", "Service", name, component, {"spec": spec})
    monitor = settings.service_monitor
    watched = {
        "selector": {"matchLabels": make.selector(component)},
        "endpoints": [{"port": "metrics", "path": "/metrics", "interval": monitor.interval}],
    }
    manifest = make.manifest(
        "monitoring.coreos.com/v1", "ServiceMonitor", settings.name, component, {"spec": watched}
    )
    manifest["metadata"]["labels"].update(monitor.labels)
    yield manifest


def _ingress(make: Maker, settings: K8s) -> Object:
    wanted = settings.ingress
    backend = {"service": {"name": settings.name, "port": {"name": wanted.port}}}
    path = {"path": wanted.path, "pathType": "Prefix", "backend": backend}
    tls = [{"hosts": [wanted.host], "secretName": wanted.tls_secret}] if wanted.tls_secret else []
    spec = given(
        {
            "ingressClassName": wanted.class_name,
            "tls": tls,
            "rules": [{"host": wanted.host, "http": {"paths": [path]}}],
        }
    )
    return make.manifest(
        "networking.k8s.io/v1", "Ingress", settings.name, SERVER, {"spec": spec}, wanted.annotations
    )


def _route(make: Maker, settings: K8s, server: Server) -> Object:
    wanted = settings.gateway
    parent = given(
        {"name": wanted.name, "namespace": wanted.namespace, "sectionName": wanted.section}
    )
    match = {"path": {"type": "PathPrefix", "value": wanted.path}}
    number = server.openai_port if wanted.port == "openai" else server.http_port
    backend = {"name": settings.name, "port": number}
    spec = {
        "parentRefs": [parent],
        "hostnames": list(wanted.hostnames),
        "rules": [{"matches": [match], "backendRefs": [backend]}],
    }
    return make.manifest(
        "gateway.networking.k8s.io/v1", "HTTPRoute", settings.name, SERVER, {"spec": spec}
    )


def _policy(make: Maker, settings: K8s, server: Server) -> Object:
    wanted = settings.network_policy
    inside: list[dict[str, Any]] = [{"podSelector": {}}]
    outside: list[dict[str, Any]] = [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
        for name in wanted.namespaces
    ]
    outside += [{"ipBlock": {"cidr": network}} for network in wanted.cidrs]
    readers = [{"namespaceSelector": {"matchLabels": wanted.monitoring}}]
    asked = ["http", *(["grpc"] * settings.service.grpc), *(["openai"] * server.openai)]
    # Who comes through a route to the OpenAI API has no business at Triton's own ports.
    if outside and _leads_to_openai_alone(settings):
        rules = [_rule(inside, asked), _rule(outside, ["openai"])]
    else:
        rules = [_rule([*inside, *outside], asked)]
    spec = {
        "podSelector": {"matchLabels": make.selector(SERVER)},
        "policyTypes": ["Ingress", *(["Egress"] if wanted.deny_egress else [])],
        "ingress": [*rules, _rule(readers, ["metrics"])],
    }
    return make.manifest(
        "networking.k8s.io/v1", "NetworkPolicy", settings.name, SERVER, {"spec": spec}
    )


def _rule(callers: list[dict[str, Any]], ports: list[str]) -> dict[str, Any]:
    return {"from": callers, "ports": [{"port": port, "protocol": "TCP"} for port in ports]}


def _leads_to_openai_alone(settings: K8s) -> bool:
    """Whether all that leads here from elsewhere leads to the OpenAI API."""
    led = [way.port for way in _ways(settings)]
    return bool(led) and set(led) == {"openai"} and settings.service.type == "ClusterIP"


def _ways(settings: K8s) -> list[Ingress | Gateway]:
    ingress, gateway = settings.ingress, settings.gateway
    return [*([ingress] if ingress.host else []), *([gateway] if gateway.name else [])]
