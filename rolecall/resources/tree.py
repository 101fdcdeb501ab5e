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
    Script,
    ShellFunction,
)
from rolecall.resources.versioned import Versioned
from rolecall.shell import decode, emit, encode, quote, words

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
class Tree(Versioned):
    """The files of ``files`` (relative path, content) below :attr:`path`, and nothing else.

    The path carries a digest of the content. A new version is written beside the old one, and
    the link ``current`` next to it is switched as the last act; the old version stays.
    """

    kind: ClassVar[str] = "tree"
    scratch: ClassVar[str] = ".writing-"

    files: tuple[tuple[str, str | bytes], ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.digests) < len(self.files):
            raise ConfigError(f"tree {self.title}: one of its files is given twice")
        for path, _ in self.files:
            plain = path == posixpath.normpath(path) and not path.startswith(("/", ".."))
            if not plain or set(path) & set("=\n\\"):
                raise ConfigError(f"tree {self.title}: {path!r} is not a plain relative path")

    @property
    def digests(self) -> dict[str, str]:
        """The sha256 of every file, by relative path."""
        return {path: hashlib.sha256(_data(content)).hexdigest() for path, content in self.files}

    @property
    def digest(self) -> str:
        """The content address: 16 hexadecimal digits."""
        text = json.dumps(self.digests, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def probe(self) -> Probe:
        """Which version is current, and the digest of every file in it."""
        return Probe(_FUNCTION, (self.folder,))

    def desired(self) -> Mapping[str, str]:
        """This version is current, whole, and holds nothing else."""
        files = {f"file.{path}": digest for path, digest in sorted(self.digests.items())}
        return {"current": self.digest, **files, "files": str(len(self.files))}

    def apply(self, observed: Observed) -> Apply:
        """Write all files beside, rename, switch the link."""
        beside = self.beside
        folders = sorted(
            {posixpath.dirname(posixpath.join(beside, path)) for path, _ in self.files}
        )
        return Script(
            "\n".join(
                [
                    f"rm -rf -- {quote(beside)}",
                    f"mkdir -p -- {quote(beside)} {words(folders)}",
                    *(
                        f"{emit(_data(content))} >{quote(posixpath.join(beside, path))}"
                        for path, content in self.files
                    ),
                    f"rm -rf -- {quote(self.path)}",
                    f"mv -- {quote(beside)} {quote(self.path)}",
                    self.switch,
                ]
            )
        )

    def removal(self, observed: Observed) -> Removal | None:
        """Remove this version, if it was not the one in use before; others stay."""
        return None if observed.get("current") == self.digest else self.remove_version()

    def previews(self, observed: Observed) -> tuple[Preview, ...]:
        """The files whose text changes, against the version now current."""
        if self.secret:
            return ()
        return tuple(
            Preview(
                posixpath.join(self.folder, "current", path),
                decode(_data(content)),
                f"{self.title}/{path}",
            )
            for path, content in self.files
            if observed.get(f"file.{path}") != self.digests[path]
        )


def _data(content: str | bytes) -> bytes:
    return encode(content) if isinstance(content, str) else content


def folder_files(folder: Path, pattern: str) -> tuple[tuple[str, bytes], ...]:
    """The files below ``folder`` that match ``pattern``, by relative path, for a :class:`Tree`."""
    return tuple(
        (path.relative_to(folder).as_posix(), path.read_bytes())
        for path in sorted(folder.glob(pattern))
        if path.is_file() and "__pycache__" not in path.parts
    )
