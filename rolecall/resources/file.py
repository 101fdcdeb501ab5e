"""A regular file with given content, mode and owner."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rolecall.errors import ConfigError
from rolecall.resource import Apply, Observed, Preview, Probe, Refuse, Removal, Resource, Script
from rolecall.resources.paths import (
    beside,
    check_ownership,
    check_path,
    needs_folder,
    ownership,
    path_probe,
    set_ownership,
)
from rolecall.shell import decode, emit, encode, quote


@dataclass(frozen=True)
class File(Resource):
    """A file whose whole content is ``content``.

    It is written beside its place and renamed in, so that a reader sees the old content or the
    new, never a part. Mode, owner and group are left as they are unless given; a new file gets
    mode 644, or 600 when it is ``secret``.
    """

    kind: ClassVar[str] = "file"

    path: str
    content: str | bytes
    mode: str | None = None
    owner: str | None = None
    group: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", check_path(self.path, self.kind))
        check_ownership(self.id, self.mode, self.owner, self.group)
        if not isinstance(self.content, (str, bytes)):
            raise ConfigError(
                f"{self.id}: its content is a {type(self.content).__name__}",
                "give a text or bytes; Template renders one",
            )
        if self.secret and self.mode is None:
            object.__setattr__(self, "mode", "600")

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    @property
    def data(self) -> bytes:
        """The content as bytes."""
        return encode(self.content) if isinstance(self.content, str) else self.content

    def probe(self) -> Probe:
        """Type, mode, owner and digest."""
        return path_probe(self.path, digest=True)

    def desired(self) -> Mapping[str, str]:
        """A regular file with this digest."""
        digest = hashlib.sha256(self.data).hexdigest()
        return {"type": "file", "sha256": digest, **ownership(self.mode, self.owner, self.group)}

    def apply(self, observed: Observed) -> Apply:
        """Write and rename; a file that differs only in mode or owner is not rewritten."""
        if observed.get("type") == "directory":
            return Refuse(
                f"{self.path} is a directory",
                f"move it away, or declare Absent({self.path!r}) in front of this file",
            )
        same = observed.get("sha256") == self.desired()["sha256"]
        if same and observed.get("type") == "file":
            return Script("\n".join(set_ownership(self.path, self.mode, self.owner, self.group)))
        mode, owner, group = self._kept(observed)
        temporary = beside(self.path)
        remove = f"rm -f -- {quote(temporary)}"
        commands = [
            *([needs_folder(self.path)] if observed.get("type") == "absent" else []),
            remove,
            f"trap {quote(remove)} EXIT",  # on a disk that is full, nothing is left of it
            f"(umask 077; {emit(self.data)} >{quote(temporary)})",
            *set_ownership(temporary, mode, owner, group),
        ]
        if observed.get("type") == "symlink":
            commands.append(f"rm -f -- {quote(self.path)}")
        commands += [f"mv -f -- {quote(temporary)} {quote(self.path)}", "trap - EXIT"]
        return Script("\n".join(commands))

    def _kept(self, observed: Observed) -> tuple[str, str | None, str | None]:
        """Mode, owner and group for the new file: what is asked for, else what it had."""
        if observed.get("type") != "file":
            return self.mode or "644", self.owner, self.group
        owner, group = self.owner, self.group
        if self.sudo:
            owner, group = owner or observed.get("uid"), group or observed.get("gid")
        return self.mode or observed.get("mode"), owner, group

    def removal(self, observed: Observed) -> Removal | None:
        """Remove it, if it was not there before."""
        return remove_path(self.path, beside(self.path), observed, sudo=self.sudo)

    def previews(self, observed: Observed) -> tuple[Preview, ...]:
        """The text, when the content differs."""
        if self.secret or observed.get("sha256") == self.desired()["sha256"]:
            return ()
        return (Preview(self.path, decode(self.data)),)

    def reads(self) -> frozenset[str]:
        """The path."""
        return frozenset({self.path})

    def writes(self) -> frozenset[str]:
        """The path."""
        return frozenset({self.path})


def remove_path(path: str, new: str, observed: Observed, *, sudo: bool) -> Removal | None:
    """The removal of a file or link that ``observed`` says was not there before.

    ``new`` is where it is made before it is renamed: an apply that was killed leaves it there.
    """
    if observed.get("type") != "absent":
        return None
    names = [quote(path), quote(new)]
    gone = " && ".join(f"[ ! -e {name} ] && [ ! -L {name} ]" for name in names)
    return Removal(gone, f"rm -f -- {' '.join(names)}", sudo)
