"""The server: Triton, supervised, and restarted exactly when what it serves has changed."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from rolecall.api import Directory, Host, Resource, Target, role
from roles.server.service import launcher, own_url, service
from roles.server.settings import Server

__all__ = ["endpoint", "launcher", "own_url", "server", "service"]


def endpoint(host: Host, target: Target) -> AbstractContextManager[str]:
    """The base URL under which the controller reaches the server's HTTP API."""
    settings = host.settings(Server)

    @contextmanager
    def reached() -> Iterator[str]:
        with target.forward(settings.http_port) as (address, port):
            yield f"http://{address}:{port}"

    return reached()


@role(Server)
def server(host: Host, settings: Server) -> Iterator[Resource]:
    """Run Triton on the rendered repository."""
    yield launcher(host)
    yield Directory(host.path("services"))
    yield service(host)
