"""A fixed path that leads to the model repository, for servers that others start."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from rolecall.api import Apply, Host, Observed, Refuse, Symlink
from roles.repo.repository import Repository
from roles.repo.settings import Repo


@dataclass(frozen=True)
class RepositoryLink(Symlink):
    """The link; what lies in its place and is no link is the user's own."""

    def apply(self, observed: Observed) -> Apply:
        """Switch it in one step."""
        if (there := observed.get("type")) not in {"absent", "symlink"}:
            return Refuse(
                f"repo.link: {self.path} is there already, and it is a {there}, no link",
                "move it away, or set repo.link to another path or to nothing",
            )
        return super().apply(observed)


def link(host: Host, repository: Repository) -> RepositoryLink:
    """The link that ``repo.link`` asks for."""
    path = posixpath.normpath(host.expand(host.settings(Repo).link))
    return RepositoryLink(path, target(path, repository.path))


def target(path: str, repository: str) -> str:
    """What the link says: relative where both lie below one directory other than the root.

    That is one volume, as far as paths tell, and the link holds wherever it is mounted. What
    the repository says of the engine and the tokenizer is absolute all the same.
    """
    folder = posixpath.dirname(path)
    if posixpath.commonpath([folder, repository]) == "/":
        return repository
    return posixpath.relpath(repository, folder)
