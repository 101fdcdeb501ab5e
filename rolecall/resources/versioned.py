"""What content-addressed resources share: versions side by side, and the link to one of them."""

from __future__ import annotations

import posixpath
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from rolecall.resource import Removal, Resource
from rolecall.resources.paths import check_path, check_title
from rolecall.resources.symlink import switch_link
from rolecall.shell import quote


@dataclass(frozen=True)
class Versioned(Resource):
    """Versions of ``title`` below ``root``, each at a path that carries a digest.

    A version is made beside its place, under a name that begins with ``scratch``, and renamed
    in. The link ``current`` names the one in use.
    """

    scratch: ClassVar[str]

    title: str
    root: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", check_path(self.root, self.kind))
        check_title(self.title, self.kind)

    @property
    def name(self) -> str:
        """The title."""
        return self.title

    @property
    @abstractmethod
    def digest(self) -> str:
        """The content address: 16 hexadecimal digits."""

    @property
    def folder(self) -> str:
        """Where all versions live."""
        return posixpath.join(self.root, self.title)

    @property
    def path(self) -> str:
        """Where this version lives."""
        return posixpath.join(self.folder, self.digest)

    @property
    def beside(self) -> str:
        """Where this version is made."""
        return posixpath.join(self.folder, f"{self.scratch}{self.digest}")

    @property
    def leftovers(self) -> tuple[str, ...]:
        """What an apply that was interrupted may leave beside this version."""
        return (self.beside,)

    @property
    def switch(self) -> str:
        """Commands that make this version the current one."""
        return switch_link(posixpath.join(self.folder, "current"), self.digest)

    def remove_version(self) -> Removal:
        """Remove this version and what an interrupted apply left; the folder goes last."""
        folder = quote(self.folder)
        parts = [quote(path) for path in (self.path, *self.leftovers)]
        current = quote(posixpath.join(self.folder, "current"))
        return Removal(
            " && ".join(f"[ ! -e {part} ]" for part in parts),
            f"rm -rf -- {' '.join(parts)}\n[ -e {current} ] || rm -f -- {current}\n"
            f"rmdir -- {folder} {quote(self.root)} 2>/dev/null || :",
            self.sudo,
        )

    def reads(self) -> frozenset[str]:
        """All versions."""
        return frozenset({f"{self.folder}/**"})

    def writes(self) -> frozenset[str]:
        """All versions."""
        return frozenset({f"{self.folder}/**"})
