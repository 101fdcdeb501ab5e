"""A heavy thing built once: content-addressed by everything it was made from."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rolecall.jobs import detached
from rolecall.resource import Apply, Observed, Probe, Removal, Resource, Script, ShellFunction
from rolecall.resources.paths import check_path, check_title
from rolecall.resources.symlink import switch_link
from rolecall.shell import escape, quote

#: Where an artifact keeps its manifest: manifest.json for readers, ``files`` (size, mtime,
#: sha256, path) for the probe, ``inputs`` for the diff.
MANIFEST = ".rolecall"

#: ``rc_listing``: size, mtime and path of every output in the current directory, sorted. What
#: Python caches beside a source that it runs is no output.
LISTING = f"""
rc_listing() {{
  find . '(' -path ./{MANIFEST} -o -name __pycache__ ')' -prune -o '(' -type f -o -type l ')' \\
    -exec stat -c '%s %Y %n' -- {{}} + | sort
}}
"""

_FUNCTION = ShellFunction(
    "rc_artifact",
    LISTING
    + f"""
rc_artifact() {{
  if [ ! -r "$1/$2/{MANIFEST}/files" ]; then
    printf 'present=no\\n'
  elif [ "$(cd -- "$1/$2" && rc_listing)" = \\
    "$(cut -d ' ' -f 1,2,4- "$1/$2/{MANIFEST}/files" | sort)" ]; then
    printf 'present=yes\\n'
  else
    printf 'present=damaged\\n'
  fi
  [ ! -L "$1/current" ] || rc_field current "$(readlink -- "$1/current")"
  [ ! -r "$1/current/{MANIFEST}/inputs" ] || cat -- "$1/current/{MANIFEST}/inputs"
}}
""",
    arity=2,
)


@dataclass(frozen=True)
class Artifact(Resource):
    """Build ``title`` from ``inputs`` with the shell text ``build``, below ``root``.

    The result lives at :attr:`path`, which carries a digest of the inputs, the build text and
    the artifacts it ``uses``. The build runs as a detached job in a directory ``$OUT`` beside
    that place, which is renamed in as the last act with a manifest inside: an interrupted build
    is never mistaken for a finished one, and a changed input gives a new artifact and keeps the
    old. The link ``current`` beside it names the one in use.

    ``build`` finds a used artifact's path in ``$USES_TITLE`` (upper case), and ``variables`` as
    shell variables. Neither paths nor variables are part of the digest: they say where things
    are on this host, not what the result is made from.
    """

    kind: ClassVar[str] = "artifact"

    title: str
    root: str
    inputs: tuple[tuple[str, str], ...]
    build: str
    uses: tuple[Artifact, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", check_path(self.root, self.kind))
        check_title(self.title, self.kind)

    @property
    def name(self) -> str:
        """The title."""
        return self.title

    @property
    def all_inputs(self) -> dict[str, str]:
        """Everything the artifact is made from, by name."""
        script = hashlib.sha256(self.build.encode()).hexdigest()[:12]
        used = {f"uses.{artifact.title}": artifact.digest for artifact in self.uses}
        return {**dict(self.inputs), **used, "build": script}

    @property
    def digest(self) -> str:
        """The content address: 16 hexadecimal digits."""
        text = json.dumps([self.title, self.all_inputs], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def folder(self) -> str:
        """Where all versions of this artifact live."""
        return posixpath.join(self.root, self.title)

    @property
    def path(self) -> str:
        """Where this version lives."""
        return posixpath.join(self.folder, self.digest)

    def probe(self) -> Probe:
        """Whether it is there and whole, and which version is current, made from what."""
        return Probe(_FUNCTION, (self.folder, self.digest))

    def desired(self) -> Mapping[str, str]:
        """Present, whole and current."""
        inputs = {f"input.{name}": value for name, value in self.all_inputs.items()}
        return {"present": "yes", "current": self.digest, **inputs}

    def apply(self, observed: Observed) -> Apply:
        """Build it as a detached job unless it is there, then make it current."""
        link = switch_link(posixpath.join(self.folder, "current"), self.digest)
        if observed.get("present") == "yes":
            return Script(link)
        return Script(f"{detached(f'{self.title}-{self.digest}', self._job())}\n{link}")

    def _job(self) -> str:
        beside = posixpath.join(self.folder, f".building-{self.digest}")
        variables = dict(self.variables)
        variables |= {_use_name(artifact.title): artifact.path for artifact in self.uses}
        assignments = "\n".join(f"{name}={quote(value)}" for name, value in variables.items())
        inputs = "".join(
            f"input.{name}={escape(value)}\n" for name, value in self.all_inputs.items()
        )
        uses = "\n".join(
            f"""printf '%s"{artifact.title}": {{"digest": "%s", "files_sha256": "%s"}}' \
"$rc_comma" {artifact.digest} \
"$(sha256sum <{quote(f"{artifact.path}/{MANIFEST}/files")} | cut -d ' ' -f 1)"
rc_comma=', '"""
            for artifact in self.uses
        )
        return f"""
LC_ALL=C
export LC_ALL
OUT={quote(beside)}
export OUT
{LISTING}
rm -rf -- "$OUT"
mkdir -p -- "$OUT"
rc_began=$(date +%s)
(
cd -- "$OUT"
{assignments}
{self.build}
)
cd -- "$OUT"
if [ -n "$(find . -name '*
*')" ]; then
  printf 'the build made a file with a newline in its name, which no manifest can hold\\n'
  exit 1
fi
mkdir {MANIFEST}
printf %s {quote(inputs)} >{MANIFEST}/inputs
rc_listing | while IFS= read -r rc_line; do
  rc_path=./${{rc_line#* ./}}
  rc_sha=-
  [ -L "$rc_path" ] || rc_sha=$(sha256sum <"$rc_path")
  printf '%s %s %s\\n' "${{rc_line%% ./*}}" "${{rc_sha%% *}}" "$rc_path"
done >{MANIFEST}/files
{{
  printf '{{"artifact": "%s", "digest": "%s",\\n "inputs": %s,\\n' \\
    {quote(self.title)} {self.digest} {quote(json.dumps(self.all_inputs))}
  rc_comma=
  printf ' "uses": {{'
{uses}
  printf '}},\\n "built_at": "%s", "seconds": %s,\\n "outputs": [' \\
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(($(date +%s) - rc_began))"
  rc_comma=
  while IFS= read -r rc_line; do
    rc_size=${{rc_line%% *}}
    rc_path=${{rc_line#* ./}}
    rc_sha=${{rc_line%% ./*}}
    rc_sha=${{rc_sha##* }}
    # JSON has no raw control characters; "files" keeps the name as it is.
    case $rc_path in
    *[!a-zA-Z0-9._/-]*)
      rc_path=$(printf %s "$rc_path" | tr '\\001-\\037\\177' '?' | sed 's/[\\\\"]/\\\\&/g')
      ;;
    esac
    printf '%s\\n  {{"path": "%s", "size": %s, "sha256": "%s"}}' \\
      "$rc_comma" "$rc_path" "$rc_size" "$rc_sha"
    rc_comma=,
  done <{MANIFEST}/files
  printf '\\n ]}}\\n'
}} >{MANIFEST}/manifest.json
cd /
if [ -e {quote(self.path)} ]; then
  rm -rf -- {quote(f"{self.path}.damaged")}
  mv -- {quote(self.path)} {quote(f"{self.path}.damaged")}
fi
mv -- "$OUT" {quote(self.path)}
rm -rf -- {quote(f"{self.path}.damaged")}
"""

    def removal(self, observed: Observed) -> Removal | None:
        """Remove this version and what an interrupted build left; others stay."""
        if observed.get("present") != "no":
            return None
        path, folder = quote(self.path), quote(self.folder)
        building = quote(posixpath.join(self.folder, f".building-{self.digest}"))
        current = quote(posixpath.join(self.folder, "current"))
        return Removal(
            f"[ ! -e {path} ] && [ ! -e {building} ]",
            f"rm -rf -- {path} {building}\n[ -e {current} ] || rm -f -- {current}\n"
            f"rmdir -- {folder} {quote(self.root)} 2>/dev/null || :",
            self.sudo,
        )

    def reads(self) -> frozenset[str]:
        """All versions of it."""
        return frozenset({f"{self.folder}/**"})

    def writes(self) -> frozenset[str]:
        """All versions of it."""
        return frozenset({f"{self.folder}/**"})


def _use_name(title: str) -> str:
    return "USES_" + re.sub(r"\W", "_", title.upper(), flags=re.ASCII)
