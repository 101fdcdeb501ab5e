"""The Triton model repository: one of several kinds, and the backends that run it."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from rolecall.api import Artifact, Host, Resource, role
from roles.bundle.needs import Need, checkouts
from roles.model import role as models
from roles.repo import llmapi, rendered, upstream
from roles.repo.link import link
from roles.repo.repository import Repository
from roles.repo.settings import Repo


class Kind(Protocol):
    """A module that makes one kind of repository."""

    def repository(self, host: Host) -> Repository:
        """The repository of ``host``."""
        ...

    def resources(self, host: Host) -> Iterator[Resource]:
        """What the role declares for this kind: the repository, and what it takes to make it."""
        ...


#: The kinds, by ``repo.kind``.
KINDS: Mapping[str, Kind] = {
    "inflight_batcher_llm": rendered,
    "upstream": upstream,
    "llmapi": llmapi,
}


def repository(host: Host) -> Repository:
    """The model repository of ``host``: its ``path`` is what Triton is given."""
    return KINDS[host.settings(Repo).kind].repository(host)


def backends(host: Host) -> Artifact | None:
    """Triton's backend directory; None where the runtime brings its own."""
    if host.settings(Repo).kind == "inflight_batcher_llm":
        return rendered.backends(host)
    return None


def tokenizer_dir(host: Host) -> str:
    """The directory with the tokenizer and the chat template that belong to what is served."""
    if host.settings(Repo).kind == "inflight_batcher_llm":
        return str(rendered.variables(host)["tokenizer_dir"])
    return models.artifact(host).path


def bundle_needs(host: Host) -> Iterator[Need]:
    """What is checked out to make it."""
    yield from checkouts(KINDS[host.settings(Repo).kind].resources(host))


@role(Repo)
def repo(host: Host, settings: Repo) -> Iterator[Resource]:
    """Make the model repository, and assemble the backends that it needs."""
    yield from KINDS[settings.kind].resources(host)
    if settings.link:
        yield link(host, repository(host))
