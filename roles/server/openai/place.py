"""Where the OpenAI API is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from rolecall.api import Host, Target
from roles.model.settings import Model
from roles.server.address import reachable
from roles.server.openai import own
from roles.server.place import Place
from roles.server.settings import Server


def base_url(host: Host) -> str:
    """The base URL of the OpenAI API as the host itself reaches it: what a client is given."""
    settings = host.settings(Server)
    return f"http://{reachable(settings.address)}:{settings.openai_port}/v1"


def openai_endpoint(host: Host, target: Target) -> AbstractContextManager[str]:
    """The base URL under which the controller reaches it."""
    settings = host.settings(Server)

    @contextmanager
    def reached() -> Iterator[str]:
        with target.forward(settings.openai_port) as (address, port):
            yield f"http://{address}:{port}/v1"

    return reached()


def model_name(host: Host) -> str:
    """The model's id in the API: as set, else the name that its source has."""
    if host.settings(Server).has_own:
        return own.MODEL
    return host.settings(Server).openai_model or source_name(host.settings(Model).source)


def source_name(source: str) -> str:
    """``ORG/NAME`` of a hub, a package's name, a directory's."""
    kind, _, rest = source.partition("://")
    if kind == "pypi":
        return rest.partition("==")[0]
    if kind == "file":
        return rest.rstrip("/").rpartition("/")[2]
    return rest.partition("@")[0]


def openai_line(host: Host, place: Place) -> str:
    """A line that says where the OpenAI API is; empty where there is none."""
    settings = host.settings(Server)
    if not settings.openai:
        return ""
    key = ", with the key of server.api_key" if settings.api_key else ""
    where = replace(place, url=base_url(host)).at()
    return f"OpenAI API at {where}, model {model_name(host)}{key}\n"
