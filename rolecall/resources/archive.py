"""The contents of an archive, in a directory of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
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

# One script for both kinds of zip tools would trust names that unzip silently alters; so names
# are looked at first, links afterwards, and the tree is renamed in only when all is well.
_EXTRACT = (
    _LIST
    + r"""
umask 022
rc_bad() {
  printf 'the archive is refused, since %s\n' "$1"
  rm -rf -- "$rc_new"
  exit 1
}
# rc_plain: the tar inside; not every tar finds out by itself how it is packed.
rc_plain() {
  case $rc_archive in
  *[gG][zZ]) gzip -dc ;;
  *[bB][zZ]2 | *[tT][bB][zZ]) bzip2 -dc ;;
  *[xX][zZ]) xz -dc ;;
  *[zZ][sS][tT]) zstd -dcq ;;
  *) cat ;;
  esac <"$rc_archive" 2>>"$rc_new/said" || : >"$rc_new/cut"
}
# rc_check_names: no member may lie outside. A busybox takes what leads there off the names and
# says so.
rc_check_names() {
  rc_said=$(grep -i 'removing leading' "$rc_new/said" | head -n 1) || :
  [ -z "$rc_said" ] || rc_bad "a member would be written outside: $rc_said"
  while IFS= read -r rc_name; do
    case /$rc_name/ in
    //* | */../*) rc_bad "a member would be written outside: $rc_name" ;;
    esac
  done
}
# rc_check_links: no symbolic link below the current directory may lead out of it.
rc_check_links() {
  [ -z "$(find . -name "*$rc_nl*" | head -n 1)" ] || rc_bad 'the name of a member holds a newline'
  find . -type l | while IFS= read -r rc_link; do
    rc_to=$(readlink -- "$rc_link")
    case $rc_to in
    /*) rc_bad "a link leads outside: $rc_link -> $rc_to" ;;
    esac
    rc_depth=0 rc_rest=${rc_link#./}
    rc_rest=${rc_rest%"${rc_rest##*/}"}$rc_to/
    while [ -n "$rc_rest" ]; do
      case ${rc_rest%%/*} in
      '' | .) ;;
      ..) rc_depth=$((rc_depth - 1)) ;;
      *) rc_depth=$((rc_depth + 1)) ;;
      esac
      [ "$rc_depth" -ge 0 ] || rc_bad "a link leads outside: $rc_link -> $rc_to"
      rc_rest=${rc_rest#*/}
    done
  done
}
rc_strip_one() {
  mkdir -- "$rc_new/next"
  for rc_top in "$rc_new"/tree/* "$rc_new"/tree/.[!.]* "$rc_new"/tree/..?*; do
    [ -d "$rc_top" ] && [ ! -L "$rc_top" ] || continue
    for rc_entry in "$rc_top"/* "$rc_top"/.[!.]* "$rc_top"/..?*; do
      [ -e "$rc_entry" ] || [ -L "$rc_entry" ] || continue
      rc_to=$rc_new/next/${rc_entry##*/}
      [ ! -e "$rc_to" ] && [ ! -L "$rc_to" ] || rc_bad "without its first folders two members are ${rc_entry##*/}"
      mv -- "$rc_entry" "$rc_to"
    done
  done
  rm -rf -- "$rc_new/tree"
  mv -- "$rc_new/next" "$rc_new/tree"
}
rc_why() {
  cat "$rc_new/said"
  if grep -qE 'No space left|disk full|quota' "$rc_new/said"; then
    printf '%s\n' 'the disk is full: free some space and run again'
  else
    printf '%s cannot be extracted: it is not a whole archive of its kind, or the program for it is missing\n' "$rc_archive"
  fi
  rm -rf -- "$rc_new"
  exit 1
}

[ -f "$rc_archive" ] || {
  printf 'there is no archive %s\n' "$rc_archive"
  exit 1
}
rm -rf -- "$rc_new" "$rc_old"
mkdir -- "$rc_new"
rc_from=$(rc_extracted_source "$rc_archive" "$rc_sha")
if [ -n "$rc_sha" ]; then
  rc_sum=$(sha256sum <"$rc_archive")
  [ "${rc_sum%% *}" = "$rc_sha" ] ||
    rc_bad "its sha256 is ${rc_sum%% *}, not $rc_sha"
fi
mkdir -- "$rc_new/tree"
if [ "$rc_kind" = tar ]; then
  rc_plain | tar -tf - >"$rc_new/names" 2>>"$rc_new/said" && [ ! -e "$rc_new/cut" ] || rc_why
  rc_check_names <"$rc_new/names"
  rc_plain | tar -x -o -f - -C "$rc_new/tree" >"$rc_new/said" 2>&1 || rc_why
elif command -v unzip >/dev/null; then
  unzip -l "$rc_archive" >"$rc_new/names" 2>"$rc_new/said" || rc_why
  sed -n 's/^ *[0-9][0-9]*  *[-0-9]*  *[0-9:]*   *//p' "$rc_new/names" | rc_check_names
  unzip -q -o "$rc_archive" -d "$rc_new/tree" >"$rc_new/said" 2>&1 </dev/null || rc_why
elif command -v python3 >/dev/null; then
  python3 -I -c '
import sys, zipfile
print("\n".join(zipfile.ZipFile(sys.argv[1]).namelist()))' "$rc_archive" >"$rc_new/names" \
    2>"$rc_new/said" || rc_why
  rc_check_names <"$rc_new/names"
  python3 -I -c '
import os, stat, sys, time, zipfile
archive = zipfile.ZipFile(sys.argv[1])
for member in archive.infolist():
    mode = member.external_attr >> 16
    if stat.S_ISLNK(mode):
        sys.exit("the link %s needs the program unzip" % member.filename)
    path = archive.extract(member, sys.argv[2])
    if not member.is_dir():
        os.chmod(path, 0o755 if mode & 0o100 else 0o644)
        when = time.mktime(member.date_time + (0, 0, -1))
        os.utime(path, (when, when))' "$rc_archive" "$rc_new/tree" >"$rc_new/said" 2>&1 || rc_why
else
  printf 'neither unzip nor python3 is there to extract %s: declare Package("unzip") in front\n' \
    "$rc_archive"
  exit 1
fi
chmod -R u+rwX,go-w,a-s -- "$rc_new/tree"
while [ "$rc_strip" -gt 0 ]; do
  rc_strip_one
  rc_strip=$((rc_strip - 1))
done
(cd -- "$rc_new/tree" && rc_check_links)
rc_list=$(rc_extracted_list "$rc_new/tree")
[ -n "$rc_list" ] || rc_bad 'nothing is in it'
printf '%s\n%s\n%s\n' "$rc_from" "$rc_wanted_strip" "$rc_list" >"$rc_new/tree/$rc_manifest"
[ ! -e "$rc_path" ] || mv -- "$rc_path" "$rc_old"
mv -- "$rc_new/tree" "$rc_path"
rm -rf -- "$rc_new" "$rc_old"
"""
)

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
        return Script(f"{assigned}\n{_EXTRACT}")

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
