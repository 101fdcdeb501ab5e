"""The contents of an archive, in a directory of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rolecall.errors import ConfigError
from rolecall.resource import (
    Apply,
    Observed,
    Probe,
    Refuse,
    Removal,
    Resource,
    Script,
    ShellFunction,
)
from rolecall.resources.paths import beside, check_path
from rolecall.shell import quote

#: In the directory: where its contents came from, and a line for each of them.
MANIFEST = ".rolecall-extracted"

# A line of the list is `TYPE SIZE TIME NAME`; directories are not listed, so that a new file
# beside the extracted ones is no change.
_LIST = rf"""
rc_extracted_list() (
  cd -- "$1" || exit 1
  find . ! -type d ! -path ./{MANIFEST} -exec stat -c '%F %s %Y %n' {{}} + | sort
)
rc_extracted_source() {{
  if [ -n "$2" ]; then printf '%s' "$2"; else stat -L -c '%s %y %i' -- "$1" 2>/dev/null || :; fi
}}
"""

# PATH ARCHIVE SHA256 STRIP OLD
_FUNCTION = ShellFunction(
    "rc_extracted",
    _LIST
    + rf"""
rc_extracted() {{
  if [ -L "$1" ]; then printf 'state=symlink\n'; return; fi
  if [ ! -e "$1" ]; then printf 'state=absent\n'; return; fi
  if [ ! -f "$1/{MANIFEST}" ]; then
    if [ -d "$1" ] && [ -z "$(ls -A -- "$1")" ]; then printf 'state=empty\n'
    else printf 'state=other\n'; fi
    return
  fi
  {{
    IFS= read -r rc_from
    IFS= read -r rc_strip
    rc_wanted=$(cat)
  }} <"$1/{MANIFEST}"
  if [ -e "$5" ]; then printf 'state=unfinished\n'; else printf 'state=extracted\n'; fi
  rc_now=$(rc_extracted_source "$2" "$3")
  if [ -n "$3" ]; then rc_field archive "$rc_from"
  elif [ -z "$rc_now" ] || [ "$rc_now" = "$rc_from" ]; then printf 'archive=same\n'
  else printf 'archive=changed\n'; fi
  printf 'strip=%s\n' "$rc_strip"
  rc_both=$({{ rc_extracted_list "$1"; printf '%s\n' "$rc_wanted"; }} | sort | uniq -d)
  if [ "$rc_both" = "$rc_wanted" ]; then printf 'contents=whole\n'; else
    printf 'contents=damaged\n'
    rc_field damaged "$({{ printf '%s\n' "$rc_both" "$rc_wanted"; }} | sort | uniq -u | head -n 5)"
  fi
}}
""",
)

_EXTRACT = Path(__file__).with_name("archive.sh")

_SHA256 = re.compile(r"[0-9a-f]{64}")
_TAR = re.compile(r"\.(tar|tgz|tbz2?|txz|tar\.(gz|bz2|xz|zst))$", re.IGNORECASE)
_ZIP = re.compile(r"\.(zip|whl|jar)$", re.IGNORECASE)


@dataclass(frozen=True)
class Extracted(Resource):
    """The directory ``path`` holds what is in ``archive``, a file on the host.

    It is extracted beside its place and renamed in, with a list of its contents; a file that is
    missing or differs in size or time afterwards, or another archive, makes it be extracted
    anew. Files that appear beside the extracted ones do not count, and go when it is extracted
    anew. An archive whose members or links lead outside is refused.

    Attributes:
        strip: leading folders to leave out of every name.
        sha256: of the archive. Without it, size, time and inode of the archive tell whether it
            is another one, and an archive that is gone counts as the same.
    """

    kind: ClassVar[str] = "extracted"

    archive: str
    path: str
    strip: int = 0
    sha256: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "archive", check_path(self.archive, self.kind))
        object.__setattr__(self, "path", check_path(self.path, self.kind))
        object.__setattr__(self, "sha256", self.sha256.lower())
        if self.sha256 and not _SHA256.fullmatch(self.sha256):
            raise ConfigError(f"extracted {self.path}: {self.sha256!r} is not a sha256")
        if not (_TAR.search(self.archive) or _ZIP.search(self.archive)):
            raise ConfigError(
                f"extracted {self.path}: {self.archive} is no kind of archive that is known",
                "it has to end in .tar, .tar.gz, .tar.bz2, .tar.xz, .tar.zst, .zip or .whl",
            )
        if self.strip < 0:
            raise ConfigError(f"extracted {self.path}: strip cannot be negative")

    @property
    def name(self) -> str:
        """The directory."""
        return self.path

    def probe(self) -> Probe:
        """From which archive it came, and whether all of it is still there."""
        old = beside(self.path, "-old")
        return Probe(_FUNCTION, (self.path, self.archive, self.sha256, str(self.strip), old))

    def desired(self) -> Mapping[str, str]:
        """The contents of this archive, whole."""
        return {
            "state": "extracted",
            "archive": self.sha256 or "same",
            "strip": str(self.strip),
            "contents": "whole",
        }

    def apply(self, observed: Observed) -> Apply:
        """Extract it beside its place and rename it in."""
        if observed.get("state") in {"other", "symlink"}:
            return Refuse(
                f"{self.path} is there, but it was not extracted from an archive",
                f"move it away, or declare Absent({self.path!r}) in front of it",
            )
        variables = {
            "archive": self.archive,
            "path": self.path,
            "new": beside(self.path, "-new"),
            "old": beside(self.path, "-old"),
            "sha": self.sha256,
            "strip": str(self.strip),
            "wanted_strip": str(self.strip),
            "manifest": MANIFEST,
            "kind": "tar" if _TAR.search(self.archive) else "zip",
        }
        assigned = "\n".join(f"rc_{name}={quote(value)}" for name, value in variables.items())
        return Script(f"{assigned}\n{_LIST}\n{_EXTRACT.read_text()}")

    def removal(self, observed: Observed) -> Removal | None:
        """Remove it, if it was not there before."""
        if observed.get("state") not in {"absent", "empty"}:
            return None
        path = quote(self.path)
        return Removal(f"[ ! -e {path} ]", f"rm -rf -- {path}", self.sudo)

    def reads(self) -> frozenset[str]:
        """The directory, and the archive."""
        return frozenset({f"{self.path}/**", self.archive})

    def writes(self) -> frozenset[str]:
        """The directory."""
        return frozenset({f"{self.path}/**"})
