"""What has to be said of a server that others can reach."""

from __future__ import annotations

from roles.server.settings import Server


def warning(settings: Server) -> str:
    """One line; empty where only users of the machine itself can ask, or nothing is amiss."""
    if not settings.is_open:
        return ""
    ports = f"{settings.http_port}, {settings.grpc_port} and {settings.metrics_port}"
    triton = f"Triton's ports {ports} on {settings.address} ask nobody for a key"
    if not settings.openai:
        return f"{triton}; let only those reach them who may"
    if settings.api_key is None:
        return f"the OpenAI API on {settings.address} asks for no key: set server.api_key; {triton}"
    return f"{triton}, unlike the OpenAI API's {settings.openai_port}"
