"""Pinned, hashed Python packages in a virtual environment."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

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
from rolecall.resources.paths import check_path
from rolecall.resources.venv import NOTES
from rolecall.shell import emit, encode, quote, words

# VENV MARKERS then for each package NAME and `|V1|V2|`, the versions the list may mean. What a
# marker leaves out on this host was noted, under the digest of all markers, by the last install.
_FUNCTION = ShellFunction(
    "rc_python_packages",
    rf"""
rc_python_packages() {{
  if [ ! -f "$1/pyvenv.cfg" ]; then printf 'complete=no\nvenv=absent\n'; return; fi
  if [ -e "$1/{NOTES}/installing" ]; then printf 'complete=no\n'; else printf 'complete=yes\n'; fi
  rc_have=$rc_nl$(
    for rc_d in "$1"/lib/python3*/site-packages/*.dist-info; do
      [ ! -f "$rc_d/RECORD" ] || printf '%s\n' "${{rc_d##*/}}"
    done | tr A-Z a-z | sed -e 's/\.dist-info$//' -e 's/-/ /' \
      -e ':a' -e 's/^\([^ ]*\)[_.]\([^ ]* \)/\1-\2/' -e 'ta' \
      -e ':b' -e 's/^\([^ ]*\)--\([^ ]* \)/\1-\2/' -e 'tb'
  )$rc_nl
  rc_noted=
  [ -z "$2" ] || [ ! -r "$1/{NOTES}/markers" ] || rc_noted=$(cat "$1/{NOTES}/markers")
  rc_current=no
  if [ -n "$2" ]; then
    case $rc_noted$rc_nl in
    "$2$rc_nl"*) rc_current=yes ;;
    esac
    printf 'markers=%s\n' "${{rc_noted%%"$rc_nl"*}}"
  fi
  shift 2
  while [ $# -gt 0 ]; do
    rc_version= rc_rest=$rc_have
    while :; do
      case $rc_rest in
      *"$rc_nl$1 "*) ;;
      *) break ;;
      esac
      rc_rest=${{rc_rest#*"$rc_nl$1 "}}
      rc_version="$rc_version${{rc_version:+ and }}${{rc_rest%%"$rc_nl"*}}"
      rc_rest=$rc_nl${{rc_rest#*"$rc_nl"}}
    done
    rc_named=${{2#|}}
    case $2 in
    *"|$rc_version|"*) printf '%s=%s\n' "$1" "${{rc_named%|}}" ;;
    *)
      rc_out=
      if [ $rc_current = yes ]; then
        case $rc_noted$rc_nl in
        *"$rc_nl$1$rc_nl"*) rc_out=${{rc_named%|}} ;;
        esac
      fi
      [ -z "$rc_out$rc_version" ] || printf '%s=%s\n' "$1" "${{rc_out:-$rc_version}}"
      ;;
    esac
    shift 2
  done
}}
""",
)

_INSTALL = Path(__file__).with_name("python_packages.sh")

_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^]]*\])?\s*"
    r"==\s*(?P<version>[A-Za-z0-9.+!_-]+)\s*(?:;\s*(?P<marker>.+))?"
)
_HASH = re.compile(r"\s--hash[ =](\S+)")
_DIGEST = re.compile(r"sha(256:[0-9a-f]{64}|384:[0-9a-f]{96}|512:[0-9a-f]{128})")
_OPTIONS = ("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--only-binary")


@dataclass(frozen=True)
class Pin:
    """One line of a list of requirements: a package, its version, when it is meant, its hashes."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PythonPackages(Resource):
    """The packages that ``requirements`` names, in the virtual environment ``venv``.

    ``requirements`` is the text of a lock file as ``uv pip compile --generate-hashes`` or
    ``pip-compile`` write it: each package pinned with ``==`` and with at least one hash, every
    dependency included. Environment markers are pip's to evaluate on the host; what they leave
    out is noted. Packages that the list does not name are left alone.

    Only wheels are installed, since building from source runs unpinned tools, unless
    ``allow_source`` is set.

    With ``find_links``, a directory of the host, wheels come from there alone: no index is
    asked, and no setting of the host's pip has a say.
    """

    kind: ClassVar[str] = "python-packages"

    venv: str
    requirements: str
    allow_source: bool = False
    find_links: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "venv", check_path(self.venv, self.kind))
        if not self._candidates():
            raise ConfigError(f"{self.id}: the list of requirements names no package")

    @property
    def name(self) -> str:
        """The virtual environment."""
        return self.venv

    def _candidates(self) -> dict[str, list[str]]:
        """For each package the versions the list may mean; several only where markers differ."""
        found: dict[str, list[str]] = {}
        for pin in pins(self.requirements):
            versions = found.setdefault(pin.name, [])
            if pin.version not in versions:
                versions.append(pin.version)
        return found

    def _markers(self) -> str:
        """A digest of what depends on the host; empty when nothing does."""
        lines = [f"{pin.name} {pin.version} {pin.marker}" for pin in pins(self.requirements)]
        marked = [line for line in lines if not line.endswith(" ")]
        return hashlib.sha256(encode("\n".join(lines))).hexdigest()[:16] if marked else ""

    def probe(self) -> Probe:
        """The version of each package, and whether an install was cut short."""
        args = [self.venv, self._markers()]
        for name, versions in self._candidates().items():
            args += [name, f"|{'|'.join(versions)}|"]
        return Probe(_FUNCTION, tuple(args))

    def desired(self) -> Mapping[str, str]:
        """Every package at its version, and nothing half-installed."""
        markers = self._markers()
        return {
            **{name: "|".join(versions) for name, versions in self._candidates().items()},
            **({"markers": markers} if markers else {}),
            "complete": "yes",
        }

    def apply(self, observed: Observed) -> Apply:
        """Install the list with pip, as a detached job that reports its progress."""
        if observed.get("venv") == "absent":
            return Refuse(
                f"{self.venv} is not a virtual environment",
                f"declare Venv({self.venv!r}) in front of its packages",
            )
        text = f"{self.requirements.rstrip()}\n"
        if not self.allow_source:
            text = f"--only-binary :all:\n{text}"
        if self.find_links:
            text = _without_sources(text)
        script = (
            f"rc_venv={quote(self.venv)}\nrc_markers={quote(self._markers())}\n"
            f"rc_find_links={quote(self.find_links)}\n"
            f"rc_total={len(pins(self.requirements))}\n"
            f"rc_requirements() {{\n{emit(encode(text))}\n}}\n{_INSTALL.read_text()}"
        )
        links = f"\0{self.find_links}" if self.find_links else ""
        digest = hashlib.sha256(encode(f"{self.venv}\0{text}{links}")).hexdigest()[:16]
        return Script(detached(f"python-packages-{digest}", script))

    def removal(self, observed: Observed) -> Removal | None:
        """Uninstall what was not there before, unless the whole environment is gone."""
        new = [name for name in self._candidates() if name not in observed.fields]
        if not new:
            return None
        names = "|".join(name.replace("-", "[-_.]+") for name in new)
        pattern = quote(f"^({names})-[^-]+\\.dist-info$")
        venv = quote(self.venv)
        return Removal(
            f"[ ! -f {venv}/pyvenv.cfg ] || "
            f"! ls {venv}/lib/python3*/site-packages | grep -qiE {pattern}",
            f"{venv}/bin/python -I -m pip uninstall --yes {words(new)} 2>&1",
            self.sudo,
        )

    def reads(self) -> frozenset[str]:
        """The virtual environment."""
        return frozenset({f"{self.venv}/**"})

    def writes(self) -> frozenset[str]:
        """The virtual environment."""
        return frozenset({f"{self.venv}/**"})


@lru_cache(maxsize=32)
def pins(requirements: str) -> tuple[Pin, ...]:
    """The packages of a fully pinned and hashed list of requirements.

    Raises:
        ConfigError: a line is not pinned, has no hash, or is an option that a lock file for
            another machine cannot have.
    """
    return tuple(_pins(requirements))


def _pins(requirements: str) -> Iterator[Pin]:
    for number, line in _logical_lines(requirements):
        where = f"requirements, line {number}"
        if line.startswith("-"):
            if line.replace("=", " ").split()[0] not in _OPTIONS:
                raise ConfigError(
                    f"{where}: the option {line.split()[0]} cannot be used here: {line}",
                    f"only these can: {', '.join(_OPTIONS)}",
                )
            continue
        hashes = _HASH.findall(line)
        pin = _PIN.fullmatch(_HASH.sub("", line).strip())
        if pin is None:
            raise ConfigError(
                f"{where}: not pinned with == to one version: {_HASH.sub('', line).strip()}",
                "make the list with: uv pip compile --generate-hashes",
            )
        for digest in hashes or [""]:
            if not _DIGEST.fullmatch(digest):
                raise ConfigError(
                    f"{where}: {pin['name']} has {'an unusable' if digest else 'no'} hash {digest}",
                    "make the list with: uv pip compile --generate-hashes",
                )
        yield Pin(
            re.sub(r"[-_.]+", "-", pin["name"]).lower(),
            pin["version"].lower().replace("-", "_"),
            (pin["marker"] or "").strip(),
            tuple(hashes),
        )


def _without_sources(text: str) -> str:
    """The list without the options that say where packages come from."""
    sources = tuple(option for option in _OPTIONS if option != "--only-binary")
    return "".join(line for line in text.splitlines(True) if not line.startswith(sources))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments, continued ones joined, each with the number it starts at."""
    start, held = 0, ""
    for number, raw in enumerate([*text.splitlines(), ""], 1):
        start = start if held else number
        if raw.endswith("\\"):
            held += f"{raw[:-1]} "
            continue
        line = re.sub(r"(^|\s)#.*$", "", held + raw).strip()
        held = ""
        if line:
            yield start, line
