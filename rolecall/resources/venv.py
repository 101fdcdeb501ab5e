"""A Python virtual environment with pip in it."""

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

#: Inside a virtual environment: what Rolecall notes about it.
NOTES = ".rolecall"

# PATH PYTHON MINIMUM BELOW, the last two as minor versions of Python 3. No Python is started for
# an environment that is as it should be; only then is the base interpreter left unasked.
_FUNCTION = ShellFunction(
    "rc_venv",
    rf"""
rc_venv_release() {{
  rc_minor=${{1#3.}}
  rc_minor=${{rc_minor%%.*}}
  case $1 in
  3.*) [ "$rc_minor" -ge "$2" ] && [ "$rc_minor" -lt "$3" ] ;;
  *) false ;;
  esac
}}
rc_venv_usable() {{
  [ -x "$1/bin/python" ] && [ -f "$1/bin/pip" ] && [ -d "$1/lib/python$2/site-packages/pip" ] ||
    return 1
  rc_real=$(readlink -f -- "$1/bin/python") || return 1
  case ${{rc_real##*/}} in
  "python$2" | python | python3) ;;
  *) return 1 ;;
  esac
}}
rc_venv() {{
  rc_python=
  if [ -f "$1/pyvenv.cfg" ]; then
    while read -r rc_key rc_equals rc_value; do
      case $rc_key in
      version | version_info) rc_python=$rc_value ;;
      esac
    done <"$1/pyvenv.cfg"
    rc_python=$(printf '%s' "$rc_python" | cut -d . -f 1,2)
    printf 'state=venv\npython=%s\n' "$rc_python"
    rc_supported=no rc_works=no rc_complete=yes
    ! rc_venv_release "$rc_python" "$3" "$4" || rc_supported=yes
    ! rc_venv_usable "$1" "$rc_python" || rc_works=yes
    [ ! -e "$1/{NOTES}/unfinished" ] || rc_complete=no
    printf 'supported=%s\nworks=%s\ncomplete=%s\n' "$rc_supported" "$rc_works" "$rc_complete"
    case $rc_supported$rc_works$rc_complete in
    yesyesyes) return ;;
    esac
  elif [ -e "$1/{NOTES}/unfinished" ]; then printf 'state=unfinished\n'
  elif [ -d "$1" ] && [ -z "$(ls -A -- "$1" 2>&1)" ]; then printf 'state=empty\n'
  elif [ -e "$1" ] || [ -L "$1" ]; then printf 'state=other\n'
  else printf 'state=absent\n'; fi
  rc_bases "$2" "$3" "$4"
}}
# rc_bases CANDIDATES MINIMUM BELOW: describe the first interpreter that will do, or else the
# first that there is. The names are separated by colons.
rc_bases() {{
  rc_first=
  rc_ifs=$IFS
  IFS=:
  for rc_candidate in $1; do
    IFS=$rc_ifs
    rc_base=$(command -v -- "$rc_candidate") || continue
    rc_about=$(rc_about_base "$rc_base")
    rc_release=${{rc_about#*base_python=}}
    case $rc_about in
    *base_venv=yes*)
      if rc_venv_release "${{rc_release%%"$rc_nl"*}}" "$2" "$3"; then
        printf '%s\n' "$rc_about"
        return
      fi
      ;;
    esac
    : "${{rc_first:=$rc_about}}"
  done
  IFS=$rc_ifs
  printf '%s\n' "${{rc_first:-base=none}}"
}}
rc_about_base() {{
  rc_field base "$1"
  rc_said=$("$1" -I -c '
import sys
try:
    import ensurepip, venv
    made = "yes"
except ImportError:
    made = "no"
print("base_python=%d.%d" % sys.version_info[:2])
print("base_venv=" + made)' 2>&1) && printf '%s\n' "$rc_said" || rc_field base_said "$rc_said"
}}
""",
)

_RELEASE = re.compile(r"3\.(\d+)")


@dataclass(frozen=True)
class Venv(Resource):
    """A virtual environment at ``path``, made by the interpreter ``python`` of the host.

    Several names may be given, separated by colons; the first that will do is taken.

    Its Python is at least ``minimum`` and older than ``below``; otherwise, or when it does not
    work any more because the interpreter went away, it is made anew, without what was installed
    in it. It is built in place, since a virtual environment cannot be moved: while that goes on
    a note inside says that it is unfinished, and an unfinished one is made anew.
    """

    kind: ClassVar[str] = "venv"

    path: str
    python: str = "python3"
    minimum: str = "3.10"
    below: str = "3.14"

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", check_path(self.path, self.kind))
        for release in (self.minimum, self.below):
            if not _RELEASE.fullmatch(release):
                raise ConfigError(
                    f"venv {self.path}: {release!r} is not a release of Python 3",
                    "write it as 3.12",
                )
        if not self.python or self.python.startswith("-"):
            raise ConfigError(f"venv {self.path}: {self.python!r} is not an interpreter")

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    def probe(self) -> Probe:
        """Whether it is whole, works, and has a Python that is supported."""
        return Probe(_FUNCTION, (self.path, self.python, _minor(self.minimum), _minor(self.below)))

    def desired(self) -> Mapping[str, str]:
        """Whole, working and supported."""
        return {"state": "venv", "supported": "yes", "works": "yes", "complete": "yes"}

    def apply(self, observed: Observed) -> Apply:
        """Make it, in place of the one that is there."""
        if observed.get("state") == "other":
            return Refuse(
                f"{self.path} is there, but it is not a virtual environment",
                f"move it away, or declare Absent({self.path!r}) in front of it",
            )
        if refusal := self._refusal(observed):
            return refusal
        path, old = quote(self.path), quote(beside(self.path, "-old"))
        notes = quote(f"{self.path}/{NOTES}")
        return Script(f"""rm -rf -- {old}
[ ! -e {path} ] || mv -- {path} {old}
rm -rf -- {old}
mkdir -- {path}
(umask 077 && mkdir -- {notes} && : >{notes}/unfinished)
{quote(observed.get("base"))} -I -m venv -- {path}
{quote(self.path + "/bin/python")} -I -m pip --version
rm -f -- {notes}/unfinished""")

    def _refusal(self, observed: Observed) -> Refuse | None:
        """Why no virtual environment can be made on this host, if so."""
        wanted = f"Python {self.minimum} or newer, and older than {self.below}, is needed"
        base, release = observed.get("base"), observed.get("base_python")
        if base == "none":
            return Refuse(
                f"the host has no {self.python}: {wanted}",
                "install it (Debian: the packages python3 and python3-venv)",
            )
        if not release:
            return Refuse(f"{base} does not work: {observed.get('base_said')}", wanted)
        if not _minor_between(release, self.minimum, self.below):
            return Refuse(
                f"{base} is Python {release}; {wanted}",
                "install such a Python and name it with python=, for example python3.12",
            )
        if observed.get("base_venv") != "yes":
            return Refuse(
                f"{base} cannot make virtual environments: its modules venv and ensurepip are "
                "missing",
                f"install them (Debian: the package python3-venv or python{release}-venv)",
            )
        return None

    def removal(self, observed: Observed) -> Removal | None:
        """Remove it, if it was not there before."""
        if observed.get("state") not in {"absent", "empty"}:
            return None
        path = quote(self.path)
        return Removal(f"[ ! -e {path} ]", f"rm -rf -- {path}", self.sudo)

    def reads(self) -> frozenset[str]:
        """The environment, and the interpreter it came from."""
        base = {self.python} if self.python.startswith("/") else set()
        return frozenset({f"{self.path}/**", "package/**", "/usr/**", *base})

    def writes(self) -> frozenset[str]:
        """The environment."""
        return frozenset({f"{self.path}/**"})


def _minor(release: str) -> str:
    return release.partition(".")[2]


def _minor_between(release: str, minimum: str, below: str) -> bool:
    found = _RELEASE.fullmatch(release)
    return bool(found) and int(_minor(minimum)) <= int(_minor(release)) < int(_minor(below))
