"""What has to be said of a service that others than the namespace can reach."""

from __future__ import annotations

from rolecall.api import Host
from roles.k8s.settings import K8s
from roles.server.settings import Server


def warning(host: Host) -> str:
    """One line; empty where nothing is amiss."""
    settings, server = host.settings(K8s), host.settings(Server)
    if settings.flavour != "kubernetes":
        return ""
    ways = {
        f"the Ingress at {settings.ingress.host}": (
            settings.ingress.port if settings.ingress.host else ""
        ),
        f"the route from {settings.gateway.name}": (
            settings.gateway.port if settings.gateway.name else ""
        ),
        f"the Service of type {settings.service.type}": (
            "http" if settings.service.type != "ClusterIP" else ""
        ),
    }
    to_triton = [way for way, port in ways.items() if port == "http"]
    if any(ways.values()) and server.openai and server.api_key is None:
        return "the OpenAI API asks for no key: set server.api_key"
    if server.openai and to_triton:
        return f"{to_triton[0]} leads to Triton itself, which asks nobody for a key"
    return ""
