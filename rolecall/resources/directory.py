"""A directory with given mode and owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rolecall.resource import Apply, Observed, Probe, Refuse, Removal, Resource, Script
from rolecall.resources.paths import (
    check_ownership,
    check_path,
    needs_folder,
    ownership,
    path_probe,
    set_ownership,
)
from rolecall.shell import quote


@dataclass(frozen=True)
class Directory(Resource):
    """A directory; its parents must exist.

    ``destroy`` removes it only when it is empty, unless ``purge`` says that whatever appears
    inside (logs, caches) belongs to it.
    """

    kind: ClassVar[str] = "directory"

    path: str
    mode: str | None = None
    owner: str | None = None
    group: str | None = None
    purge: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", check_path(self.path, self.kind))
        check_ownership(self.id, self.mode, self.owner, self.group)

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    def probe(self) -> Probe:
        """Type, mode and owner."""
        return path_probe(self.path)

    def desired(self) -> Mapping[str, str]:
        """A directory, with what is asked of mode and owner."""
        return {"type": "directory", **ownership(self.mode, self.owner, self.group)}

    def apply(self, observed: Observed) -> Apply:
        """Create it, or set mode and owner."""
        if observed.get("type") not in {"absent", "directory"}:
            return Refuse(
                f"{self.path} is there, but it is a {observed.get('type')}",
                f"move it away, or declare Absent({self.path!r}) in front of this directory",
            )
        commands = set_ownership(self.path, self.mode, self.owner, self.group)
        if observed.get("type") == "absent":
            commands = [needs_folder(self.path), f"mkdir -- {quote(self.path)}", *commands]
        return Script("\n".join(commands))

    def removal(self, observed: Observed) -> Removal | None:
        """Remove it, if it was not there before."""
        if observed.get("type") != "absent":
            return None
        name = quote(self.path)
        left = f"{{ echo 'still in it:'; ls -A -- {name} | head -n 5; exit 1; }}"
        script = f"rm -rf -- {name}" if self.purge else f"rmdir -- {name} || {left}"
        return Removal(f"[ ! -d {name} ]", script, self.sudo)

    def reads(self) -> frozenset[str]:
        """The path."""
        return frozenset({self.path})

    def writes(self) -> frozenset[str]:
        """The path."""
        return frozenset({self.path})
