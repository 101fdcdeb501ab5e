"""The engine: the model, built for this kind of machine, by one of several builders."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from rolecall.api import Artifact, Host, Resource, Skip, role
from roles.bundle.needs import Need, checkouts
from roles.engine import openvino_engine, vllm_engine
from roles.engine.settings import Engine
from roles.engine.tensorrt_llm import build as tensorrt_llm


class Builder(Protocol):
    """A module that builds one kind of engine."""

    def artifact(self, host: Host) -> Artifact:
        """The engine of ``host``."""
        ...

    def resources(self, host: Host) -> Iterator[Resource]:
        """What the role declares for this kind: the engine, and what it takes to build it."""
        ...


#: The builders, by ``engine.kind``.
BUILDERS: Mapping[str, Builder] = {
    "openvino": openvino_engine,
    "vllm": vllm_engine,
    "tensorrt_llm": tensorrt_llm,
}


def artifact(host: Host) -> Artifact | None:
    """The engine of ``host``, a directory with a config.json; None where none is built."""
    builder = BUILDERS.get(host.settings(Engine).kind)
    return builder.artifact(host) if builder else None


def bundle_needs(host: Host) -> Iterator[Need]:
    """What is checked out to build it."""
    if builder := BUILDERS.get(host.settings(Engine).kind):
        yield from checkouts(builder.resources(host))


@role(Engine)
def engine(host: Host, settings: Engine) -> Iterator[Resource | Skip]:
    """Build the engine, unless one was built from the same inputs."""
    if builder := BUILDERS.get(settings.kind):
        yield from builder.resources(host)
    else:
        yield Skip("artifact:engine", "what serves the model loads it as it is")
