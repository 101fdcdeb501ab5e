"""The server: Triton, supervised, and restarted exactly when what it serves has changed."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from rolecall.api import Directory, Host, Resource, Skip, Target, role
from roles.server.openai.service import resources as openai_resources
from roles.server.openai.warning import warning
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
def server(host: Host, settings: Server) -> Iterator[Resource | Skip]:
    """Run Triton on the rendered repository, and beside it what speaks OpenAI's API."""
    yield launcher(host)
    yield Directory(host.path("services"))
    yield service(host)
    yield from openai_resources(host)
    if said := warning(settings):
        yield Skip("api-key:server", f"warning: {said}")
