"""A package of the operating system, through apt or dnf, whichever the host has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

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
from rolecall.shell import quote, words

#: Seconds to wait for another package manager to finish.
LOCK_TIMEOUT = 600

# One query for all names. An answer's record is `NAME:ARCH STATUS ERROR VERSION`; a name without
# an architecture means the host's own (or `all`), as it does for apt.
_SOURCE = r"""
rc_package() {
  rc_manager=none rc_native=
  if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
    rc_manager=apt
    rc_native=$(dpkg --print-architecture)
    rc_format='${Package}:${Architecture} ${db:Status-Status} ${db:Status-Eflag} ${Version}\n'
    rc_found=$(dpkg-query -W -f "$rc_format" -- "$@" 2>/dev/null)
  elif command -v rpm >/dev/null && command -v dnf >/dev/null; then
    rc_manager=dnf
    rc_found=$(
      for rc_p; do
        shift
        case $rc_p in
        *:*) set -- "$@" "${rc_p%:*}.${rc_p##*:}" ;;
        *) set -- "$@" "$rc_p" ;;
        esac
      done
      rpm -q --qf '%{NAME}:%{ARCH} installed ok %{EVR}\n' "$@" 2>/dev/null
    )
  fi
  rc_found=$rc_nl$rc_found$rc_nl
  if [ "$(id -u)" = 0 ]; then rc_via=root
  elif command -v sudo >/dev/null; then rc_via=sudo
  else rc_via=none; fi
  for rc_p; do
    rc_rest=
    case $rc_p in
    *:*) set -- "$rc_p " ;;
    *)
      set -- "$rc_p:"
      [ -z "$rc_native" ] || set -- "$rc_p:$rc_native " "$rc_p:all "
      ;;
    esac
    for rc_q; do
      case $rc_found in
      *"$rc_nl$rc_q"*)
        rc_rest=${rc_found#*"$rc_nl$rc_q"}
        rc_rest=${rc_rest%%"$rc_nl"*}
        case $rc_q in
        *:) rc_rest=${rc_rest#* } ;;
        esac
        break
        ;;
      esac
    done
    rc_version=${rc_rest##* }
    case $rc_rest in
    '' | not-installed* | config-files*) rc_rest=absent rc_version= ;;
    *' ok '*) rc_rest=${rc_rest%% *} ;;
    *) rc_rest=needs-reinstall ;;
    esac
    printf 'state=%s\n' "$rc_rest"
    [ -z "$rc_version" ] || printf 'version=%s\n' "$rc_version"
    printf 'manager=%s\nvia=%s\n' "$rc_manager" "$rc_via"
    rc_item
  done
}
"""

PACKAGE = ShellFunction("rc_package", _SOURCE, batch=True)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*(:[a-z0-9][a-z0-9_-]*)?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:~^_-]*")

#: Where a distribution's packages put files: what installing one may change.
PLACES = frozenset(
    f"/{place}/**"
    for place in ("bin", "boot", "etc", "lib", "lib64", "opt", "sbin", "srv", "usr", "var")
)


@dataclass(frozen=True)
class Package(Resource):
    """A package is installed, or with ``state="absent"`` is not.

    Looking needs no privilege; installing goes through sudo unless the session is root's. With
    ``version`` exactly that version is kept, as ``dpkg-query`` or ``rpm`` write it.

    With ``source``, a directory of the host with a flat repository for apt (``Packages`` and the
    files), it comes from there and from no other source.
    """

    kind: ClassVar[str] = "package"

    package: str
    version: str | None = None
    state: Literal["installed", "absent"] = "installed"
    source: str = ""
    sudo: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.package):
            raise ConfigError(
                f"package: {self.package!r} is not the name of a package",
                "give the bare name or NAME:ARCH; a version has a field of its own",
            )
        if self.version is not None and not _VERSION.fullmatch(self.version):
            raise ConfigError(f"package {self.package}: {self.version!r} is not a version")
        if self.state == "absent" and self.version is not None:
            raise ConfigError(f"package {self.package}: an absent package has no version")

    @property
    def name(self) -> str:
        """The package's name."""
        return self.package

    @property
    def probe_sudo(self) -> bool:
        """Anyone may look."""
        return False

    def probe(self) -> Probe:
        """State, version, and what could change them."""
        return Probe(PACKAGE, (self.package,))

    def desired(self) -> Mapping[str, str]:
        """Installed, or not."""
        fields: dict[str, str] = {"state": self.state}
        if self.version is not None:
            fields["version"] = self.version
        return fields

    def apply(self, observed: Observed) -> Apply:
        """Install or remove, waiting for other package managers and mending what they left."""
        manager = observed.get("manager")
        verb = "install" if self.state == "installed" else "remove"
        if manager not in {"apt", "dnf"}:
            return Refuse(
                f"{self.package} cannot be {verb[:6]}ed: the host has neither apt nor dnf",
                "bring it about by the host's own means, then run again",
            )
        if self.source and manager != "apt":
            return Refuse(
                f"{self.package} cannot be {verb[:6]}ed from {self.source}: the host has no apt",
                "bring it about by the host's own means, then run again",
            )
        command = _manual(manager, verb, self.package)
        if observed.get("via") == "none":
            return Refuse(
                f"{self.package} is {observed.get('state')}, and changing that needs root, "
                "which this user has no sudo for",
                f"ask an administrator to run: {command}",
            )
        body = _apt(self, verb) if manager == "apt" else _dnf(self, verb)
        return Script(body)

    def removal(self, observed: Observed) -> Removal | None:
        """Remove it, if it was not there before and nothing else has come to need it."""
        if observed.get("state") != "absent" or self.state == "absent":
            return None
        remove = _undo_apt if observed.get("manager") == "apt" else _undo_dnf
        gone, script = remove(quote(self.package))
        return Removal(gone, script, sudo=self.sudo)

    def reads(self) -> frozenset[str]:
        """The package."""
        return frozenset({f"package/{self.package}"})

    def writes(self) -> frozenset[str]:
        """Any package, since dependencies come along, and what packages consist of."""
        return PLACES | {"package/**"}


def _manual(manager: str, verb: str, package: str) -> str:
    return f"{'apt-get' if manager == 'apt' else 'dnf'} {verb} {package}"


_SCRIPT = Path(__file__).with_name("package.sh")


def _apt(package: Package, verb: str) -> str:
    name = package.package
    options = ["--no-install-recommends"] if verb == "install" else []
    if package.version:
        options += ["--allow-downgrades", "--allow-change-held-packages"]
    wanted = f"{name}={package.version}" if package.version else name
    call = words([name, str(LOCK_TIMEOUT), verb, *options, wanted])
    only = f"\nrc_apt_from {quote(package.source)}" if package.source and verb == "install" else ""
    return f"{_SCRIPT.read_text()}{only}\nrc_apt_do {call}"


def _dnf(package: Package, verb: str) -> str:
    base, _, arch = package.package.partition(":")
    full = base + (f"-{package.version}" if package.version else "") + (f".{arch}" if arch else "")
    pinned = "pinned" if package.version else ""
    return f"{_SCRIPT.read_text()}\nrc_dnf_do {words([base, verb, full, pinned])}"


def _undo_apt(name: str) -> tuple[str, str]:
    """Something else may depend on it by now: then it stays, as a package that came along."""
    gone = (
        f"case $(dpkg-query -W -f '${{db:Status-Status}}' -- {name} 2>/dev/null) in "
        f"''|not-installed|config-files) true ;; "
        f'*) [ -n "$(apt-mark showauto -- {name} 2>/dev/null)" ] ;; esac'
    )
    script = f"""DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
rc_others=$(
  apt-get -s remove -- {name} | sed -n 's/^Remv \\([^ ]*\\) .*/\\1/p' | grep -vxF -- {name} || :
)
if [ -n "$rc_others" ]; then
  printf '%s stays, since these packages need it: %s\\n' {name} "$(printf '%s ' $rc_others)"
  apt-mark auto -- {name}
else
  printf 'removing the package %s\\n' {name}
  apt-get -y -o DPkg::Lock::Timeout={LOCK_TIMEOUT} -o Dpkg::Use-Pty=0 remove -- {name}
fi"""
    return gone, script


def _undo_dnf(name: str) -> tuple[str, str]:
    gone = f"! rpm -q {name} >/dev/null || rpm -q --whatrequires {name} >/dev/null"
    script = f"""if rpm -e --test {name}; then
  printf 'removing the package %s\\n' {name}
  dnf -y --noautoremove remove {name}
else
  printf '%s stays, since other packages need it\\n' {name}
fi"""
    return gone, script
