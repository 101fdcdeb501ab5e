"""A symbolic link to a given target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rolecall.resource import Apply, Observed, Probe, Refuse, Removal, Resource, Script
from rolecall.resources.file import remove_path
from rolecall.resources.paths import check_path, needs_folder, path_probe
from rolecall.shell import quote


@dataclass(frozen=True)
class Symlink(Resource):
    """A symbolic link at ``path`` that points to ``target``, which need not exist."""

    kind: ClassVar[str] = "symlink"

    path: str
    target: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", check_path(self.path, self.kind))

    @property
    def name(self) -> str:
        """The path of the link."""
        return self.path

    def probe(self) -> Probe:
        """Type and target."""
        return path_probe(self.path)

    def desired(self) -> Mapping[str, str]:
        """A link with this target."""
        return {"type": "symlink", "target": self.target}

    def apply(self, observed: Observed) -> Apply:
        """Make the link under another name and rename it in: there is never no link."""
        if observed.get("type") not in {"absent", "symlink"}:
            return Refuse(
                f"{self.path} is there, but it is a {observed.get('type')}",
                f"move it away, or declare Absent({self.path!r}) in front of this link",
            )
        first = f"{needs_folder(self.path)}\n" if observed.get("type") == "absent" else ""
        return Script(f"{first}{switch_link(self.path, self.target)}")

    def removal(self, observed: Observed) -> Removal | None:
        """Remove it, if it was not there before."""
        return remove_path(self.path, _beside(self.path), observed, sudo=self.sudo)

    def reads(self) -> frozenset[str]:
        """The link itself."""
        return frozenset({self.path})

    def writes(self) -> frozenset[str]:
        """The link, and so everything seen through it."""
        return frozenset({f"{self.path}/**"})


def switch_link(path: str, target: str) -> str:
    """Commands that point ``path`` at ``target`` in one step.

    ``mv`` onto a link to a directory would move into that directory, so ``-T`` is needed; the
    few busybox builds without it fall back to replacing the link.
    """
    new = quote(_beside(path))
    return (
        f"rm -f -- {new}\n"
        f"ln -s -- {quote(target)} {new}\n"
        f"mv -fT -- {new} {quote(path)} 2>/dev/null || "
        f"{{ rm -f -- {quote(path)} && mv -f -- {new} {quote(path)}; }}"
    )


def _beside(path: str) -> str:
    return f"{path}.rolecall-new"
