"""A directory of small files, rendered as a whole and switched to in one step."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rolecall.errors import ConfigError
from rolecall.resource import (
    Apply,
    Observed,
    Preview,
    Probe,
    Removal,
    Resource,
    Script,
    ShellFunction,
)
from rolecall.resources.paths import check_path, check_title
from rolecall.resources.symlink import switch_link
from rolecall.shell import emit, encode, quote

# What Python caches beside a source that it runs is not part of the tree.
_FUNCTION = ShellFunction(
    "rc_tree",
    r"""
rc_tree() {
  if [ ! -L "$1/current" ]; then
    printf 'current=\n'
    return
  fi
  rc_field current "$(readlink -- "$1/current")"
  rc_list=$(cd -- "$1/current" 2>/dev/null &&
    find . -name __pycache__ -prune -o -type f -exec sha256sum -- {} + | sort -k 2)
  rc_count=0
  while IFS= read -r rc_line; do
    [ -n "$rc_line" ] || continue
    rc_count=$((rc_count + 1))
    rc_field "file.${rc_line#* ./}" "${rc_line%% *}"
  done <<RC_LIST
$rc_list
RC_LIST
  rc_other=$({ cd -- "$1/current" 2>/dev/null &&
    find . -name __pycache__ -prune -o ! -type f ! -type d -print; } | wc -l)
  printf 'files=%s\n' "$((rc_count + rc_other))"
}
""",
)


@dataclass(frozen=True)
class Tree(Resource):
    """The files of ``files`` (relative path, content) below :attr:`path`, and nothing else.

    The path carries a digest of the content. A new version is written beside the old one, and
    the link ``current`` next to it is switched as the last act; the old version stays.
    """

    kind: ClassVar[str] = "tree"

    title: str
    root: str
    files: tuple[tuple[str, str | bytes], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", check_path(self.root, self.kind))
        check_title(self.title, self.kind)
        if len(self.digests) < len(self.files):
            raise ConfigError(f"tree {self.title}: one of its files is given twice")
        for path, _ in self.files:
            plain = path == posixpath.normpath(path) and not path.startswith(("/", ".."))
            if not plain or set(path) & set("=\n\\"):
                raise ConfigError(f"tree {self.title}: {path!r} is not a plain relative path")

    @property
    def name(self) -> str:
        """The title."""
        return self.title

    @property
    def digests(self) -> dict[str, str]:
        """The sha256 of every file, by relative path."""
        return {path: hashlib.sha256(_data(content)).hexdigest() for path, content in self.files}

    @property
    def digest(self) -> str:
        """The content address: 16 hexadecimal digits."""
        text = json.dumps(self.digests, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def folder(self) -> str:
        """Where all versions of this tree live."""
        return posixpath.join(self.root, self.title)

    @property
    def path(self) -> str:
        """Where this version lives."""
        return posixpath.join(self.folder, self.digest)

    def probe(self) -> Probe:
        """Which version is current, and the digest of every file in it."""
        return Probe(_FUNCTION, (self.folder,))

    def desired(self) -> Mapping[str, str]:
        """This version is current, whole, and holds nothing else."""
        files = {f"file.{path}": digest for path, digest in sorted(self.digests.items())}
        return {"current": self.digest, **files, "files": str(len(self.files))}

    def apply(self, observed: Observed) -> Apply:
        """Write all files beside, rename, switch the link."""
        beside = posixpath.join(self.folder, f".writing-{self.digest}")
        folders = sorted(
            {posixpath.dirname(posixpath.join(beside, path)) for path, _ in self.files}
        )
        commands = [f"rm -rf -- {quote(beside)}", f"mkdir -p -- {quote(beside)}"]
        commands += [f"mkdir -p -- {quote(folder)}" for folder in folders]
        commands += [
            f"{emit(_data(content))} >{quote(posixpath.join(beside, path))}"
            for path, content in self.files
        ]
        commands += [
            f"rm -rf -- {quote(self.path)}",
            f"mv -- {quote(beside)} {quote(self.path)}",
            switch_link(posixpath.join(self.folder, "current"), self.digest),
        ]
        return Script("\n".join(commands))

    def removal(self, observed: Observed) -> Removal | None:
        """Remove this version; the folder goes with the last of them."""
        if observed.get("current") == self.digest:
            return None
        path, folder = quote(self.path), quote(self.folder)
        writing = quote(posixpath.join(self.folder, f".writing-{self.digest}"))
        current = quote(posixpath.join(self.folder, "current"))
        return Removal(
            f"[ ! -e {path} ] && [ ! -e {writing} ]",
            f"rm -rf -- {path} {writing}\n[ -e {current} ] || rm -f -- {current}\n"
            f"rmdir -- {folder} {quote(self.root)} 2>/dev/null || :",
            self.sudo,
        )

    def previews(self, observed: Observed) -> tuple[Preview, ...]:
        """The files whose text changes, against the version now current."""
        if self.secret:
            return ()
        return tuple(
            Preview(
                posixpath.join(self.folder, "current", path),
                _data(content).decode("utf-8", "replace"),
                f"{self.title}/{path}",
            )
            for path, content in self.files
            if observed.get(f"file.{path}") != self.digests[path]
        )

    def reads(self) -> frozenset[str]:
        """All versions of it."""
        return frozenset({f"{self.folder}/**"})

    def writes(self) -> frozenset[str]:
        """All versions of it."""
        return frozenset({f"{self.folder}/**"})


def _data(content: str | bytes) -> bytes:
    return encode(content) if isinstance(content, str) else content


def folder_files(folder: Path, pattern: str) -> tuple[tuple[str, bytes], ...]:
    """The files below ``folder`` that match ``pattern``, by relative path, for a :class:`Tree`."""
    return tuple(
        (path.relative_to(folder).as_posix(), path.read_bytes())
        for path in sorted(folder.glob(pattern))
        if path.is_file() and "__pycache__" not in path.parts
    )
