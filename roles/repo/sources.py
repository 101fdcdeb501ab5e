"""Where upstream's model repositories come from: a git checkout at a pinned commit."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from rolecall.api import ConfigError, Directory, GitCheckout, Host, Resource
from roles.bundle import places
from roles.engine.settings import Engine
from roles.engine.tensorrt_llm import build as tensorrt_llm
from roles.repo.settings import LlmApi, Upstream
from roles.runtime import role as runtimes
from roles.runtime.settings import Runtime


@dataclass(frozen=True)
class Source:
    """A folder of a git checkout."""

    checkout: GitCheckout
    folder: str

    @property
    def path(self) -> str:
        """The folder on the host."""
        return posixpath.join(self.checkout.path, self.folder)


def source(host: Host, settings: Upstream | LlmApi, folder: str) -> Source:
    """The folder that the settings name, or ``folder`` of the runtime's own version.

    Raises:
        ConfigError: the matrix does not know the files of that version.
    """
    repository, commit, inside = settings.repository, settings.commit, settings.folder
    if not (repository and commit and inside):
        row = runtimes.row(host)
        _check_installed(host, row.tensorrt_llm, explicit=bool(commit))
        known = row.sources
        repository = repository or known.url
        commit = commit or known.commit
        inside = inside or posixpath.join(known.folder, folder)
        if not commit:
            kind = "llmapi" if isinstance(settings, LlmApi) else "upstream"
            raise ConfigError(
                f"the version matrix does not know which commit tag {known.tag} of "
                f"{known.repository} is",
                f"git ls-remote {repository} {known.tag} says it: set repo.{kind}.commit",
            )
    name = re.sub(r"\.git$", "", repository.rstrip("/")).rpartition("/")[2]
    title = re.sub(r"[^A-Za-z0-9._-]", "-", name) or "repository"
    path = host.path("sources", f"{title}-{commit[:12]}-{posixpath.basename(inside)}")
    pack = places.pack(host, repository, commit)
    return Source(GitCheckout(path, repository, commit, pack=pack, folders=(inside,)), inside)


def _check_installed(host: Host, release: str, *, explicit: bool) -> None:
    """What is installed is what the matrix says of it: other versions' files do not fit it."""
    found = host.fact("runtime.tensorrt_llm")
    if explicit or host.settings(Runtime).kind != "installed" or found in {"", release}:
        return
    raise ConfigError(
        f"TensorRT-LLM {found} is installed on {host.name}; the version matrix knows the files of "
        f"{release} for that Triton",
        f"set repo.llmapi (or repo.upstream) repository, commit and folder to those of v{found}",
    )


def checked_out(host: Host, wanted: Source) -> Iterator[Resource]:
    """The checkout and what it lies in, unless role engine has declared that already."""
    engines = host.settings(Engine).kind == "tensorrt_llm"
    if not (engines and tensorrt_llm.sources(host)):
        yield Directory(host.path("sources"))
    yield wanted.checkout
