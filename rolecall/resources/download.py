"""A file from the network, known by its digest."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from rolecall.errors import ConfigError
from rolecall.jobs import detached
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
from rolecall.resources.paths import beside, check_ownership, check_path, ownership
from rolecall.shell import emit, encode, quote

_JOB = Path(__file__).with_name("download.sh")
_PYTHON = Path(__file__).with_name("download_http.py")

# PATH RECORD SHA256. A file is not read again as long as it is the one that was verified: the
# same size, time of change and inode as noted. The tools are looked at only when one is needed.
_FUNCTION = ShellFunction(
    "rc_download",
    r"""
rc_download() {
  if [ -L "$1" ]; then printf 'type=symlink\n'
  elif [ -d "$1" ]; then printf 'type=directory\n'
  elif [ -f "$1" ]; then
    printf 'type=file\nmode=%s\n' "$(stat -c %a -- "$1")"
    rc_noted=
    [ ! -r "$2" ] || IFS= read -r rc_noted <"$2"
    if [ "${rc_noted#* }" = "$(stat -c '%s %y %i' -- "$1")" ]; then
      printf 'sha256=%s\n' "${rc_noted%% *}"
      [ "${rc_noted%% *}" != "$3" ] || return 0
    else
      printf 'sha256=unverified\n'
    fi
  elif [ -e "$1" ]; then printf 'type=other\n'
  else printf 'type=absent\n'; fi
  rc_tools=
  ! command -v curl >/dev/null || rc_tools="$rc_tools curl"
  ! command -v python3 >/dev/null || rc_tools="$rc_tools python3"
  if command -v wget >/dev/null; then
    case $(wget --version 2>&1) in
    *'GNU Wget'*) rc_tools="$rc_tools wget" ;;
    *) rc_tools="$rc_tools busybox" ;;
    esac
  fi
  printf 'tools=%s\n' "${rc_tools# }"
}
""",
)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


@dataclass(frozen=True)
class Download(Resource):
    """The file at ``url`` is at ``path``, and its digest is ``sha256``.

    Any of curl, python3 and wget will do. A download that broke off goes on where it stopped,
    from a part kept beside its place; nothing is put in place before its digest is right.
    Afterwards size, time of change and inode tell whether the file is still the verified one,
    so that no run reads gigabytes; a file that differs in these is read again by the next run,
    which keeps it when its digest is right. A file that was put there by hand is adopted so.

    ``headers``, such as ``{"Authorization": "Bearer ..."}``, reach the server through a file
    that only this user can read, and no process list. Authorization goes to the first server
    only; other headers follow redirections where curl is used.

    Attributes:
        size: of the file in bytes, for the progress; 0 to go by what the server says.
        mode: of the file; 644 for a new one when not given.
    """

    kind: ClassVar[str] = "download"

    url: str
    path: str
    sha256: str
    mode: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    size: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", check_path(self.path, self.kind))
        check_ownership(self.id, self.mode)
        object.__setattr__(self, "sha256", self.sha256.lower())
        if not _SHA256.fullmatch(self.sha256):
            raise ConfigError(
                f"download {self.path}: {self.sha256!r} is not a sha256",
                "give the 64 hexadecimal digits that sha256sum prints",
            )
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https", "file"} or re.search(r"[\x00-\x20]", self.url):
            raise ConfigError(
                f"download {self.path}: {self.url!r} is not an http, https or file address",
                "write spaces in it as %20",
            )
        if parts.username is not None:
            raise ConfigError(
                f"download {self.path}: the address holds credentials", "give them in headers="
            )
        for header, value in self.headers.items():
            if not _HEADER.fullmatch(header) or re.search(r"[\x00-\x08\x0a-\x1f]", value):
                raise ConfigError(f"download {self.path}: {header!r} is not a usable header")
        if self.headers:
            object.__setattr__(self, "secret", True)

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    @property
    def _record(self) -> str:
        return beside(self.path, ".verified")

    @property
    def _part(self) -> str:
        """The unfinished download, whose name carries the digest of what it is to become."""
        return posixpath.join(posixpath.dirname(self.path), f".rolecall-{self.sha256}.part")

    def probe(self) -> Probe:
        """Type, mode, and the digest that was verified."""
        return Probe(_FUNCTION, (self.path, self._record, self.sha256))

    def desired(self) -> Mapping[str, str]:
        """A file with this digest, and with what is asked of the mode."""
        return {"type": "file", "sha256": self.sha256, **ownership(self.mode, None, None)}

    def apply(self, observed: Observed) -> Apply:
        """Verify what is there, or download it, as a detached job."""
        if observed.get("type") in {"directory", "other"}:
            return Refuse(
                f"{self.path} is there, but it is not a file",
                f"move it away, or declare Absent({self.path!r}) in front of this download",
            )
        if observed.get("sha256") == self.sha256 and observed.get("type") == "file":
            return Script(f"chmod -- {quote(self.mode or '644')} {quote(self.path)}")
        tool = self._tool(observed.get("tools").split())
        if not tool:
            usable = "curl or python3" if self.headers else "curl, wget or python3"
            return Refuse(
                f"{self.url} cannot be downloaded: the host has no {usable}",
                'declare Package("curl") in front of it',
            )
        mode = self.mode or (observed.get("mode") or "644")
        parts = urlsplit(self.url)
        request = f"{self._part}.request"
        variables = {
            "path": self.path,
            "part": self._part,
            "record": self._record,
            "request": request,
            "sha": self.sha256,
            "mode": mode,
            "tool": tool,
            "size": str(self.size),
            "source": unquote(parts.path) if tool == "copy" else "",
            "proto": "https" if parts.scheme == "https" else "http,https",
            "python": _PYTHON.read_text() if tool == "python3" else "",
        }
        script = "\n".join(f"rc_{name}={quote(value)}" for name, value in variables.items())
        job = hashlib.sha256(encode(f"{self.path}\0{self.sha256}")).hexdigest()[:16]
        return Script(
            f"(umask 077; {emit(self._request(tool))} >{quote(request)})\n"
            f"rc_end=0\n"
            f"{detached(f'download-{job}', f'{script}{chr(10)}{_JOB.read_text()}')} || rc_end=$?\n"
            f"rm -f -- {quote(request)}\n"
            f'[ "$rc_end" = 0 ] || exit "$rc_end"'
        )

    def _tool(self, there: list[str]) -> str:
        """What to download with: nothing that shows credentials or takes them elsewhere."""
        if urlsplit(self.url).scheme == "file":
            return "copy"
        usable = ["curl", "python3"]
        if not self.headers:
            usable = ["curl", "wget", "python3"]
            if not urlsplit(self.url).query:
                usable.append("busybox")
        return next((tool for tool in usable if tool in there), "")

    def _request(self, tool: str) -> bytes:
        """What the tool reads from a file, so that no process list shows it."""
        if tool == "curl":
            lines = [f"url = {_curl(self.url)}"]
            lines += [f"header = {_curl(f'{name}: {v}')}" for name, v in self.headers.items()]
            return encode("\n".join(lines) + "\n")
        if tool == "python3":
            return encode(json.dumps({"url": self.url, "headers": dict(self.headers)}))
        return encode(f"{self.url}\n")

    def removal(self, observed: Observed) -> Removal | None:
        """Remove it and what was noted about it, if it was not there before."""
        if observed.get("type") != "absent":
            return None
        path, record = quote(self.path), quote(self._record)
        part = quote(self._part)
        return Removal(
            f"[ ! -e {path} ] && [ ! -e {record} ] && [ ! -e {part} ]",
            f"rm -f -- {path} {record} {part}",
            self.sudo,
        )

    def reads(self) -> frozenset[str]:
        """The file and what is noted about it."""
        return frozenset({self.path, self._record})

    def writes(self) -> frozenset[str]:
        """The file."""
        return frozenset({self.path, self._record, self._part})


def _curl(value: str) -> str:
    """A quoted string of curl's configuration file."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    return f'"{escaped}"'
