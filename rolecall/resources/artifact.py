"""A heavy thing built once: content-addressed by everything it was made from."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from rolecall.jobs import detached
from rolecall.resource import Apply, Observed, Probe, Removal, Script, ShellFunction
from rolecall.resources.versioned import Versioned
from rolecall.shell import escape, quote, words

_SOURCE = Path(__file__).with_suffix(".sh").read_text()
_FUNCTION = ShellFunction("rc_artifact", _SOURCE, arity=4)


@dataclass(frozen=True)
class Artifact(Versioned):
    """Build ``title`` from ``inputs`` with the shell text ``build``, below ``root``.

    The result lives at :attr:`path`, which carries a digest of the inputs, the build text and
    the artifacts it ``uses``. The build runs as a detached job in a directory ``$OUT`` beside
    that place, which is renamed in as the last act with a manifest inside: an interrupted build
    is never mistaken for a finished one, and a changed input gives a new artifact and keeps the
    old. The link ``current`` beside it names the one in use.

    ``build`` finds a used artifact's path in ``$USES_TITLE`` (upper case), and ``variables`` as
    shell variables. Neither paths nor variables are part of the digest: they say where things
    are on this host, not what the result is made from. A secret of ``secrets`` reaches it in a
    file of the host's user alone, which the variable of that name leads to and which goes with
    the build.

    Besides, a build may use, all on the file system of ``$OUT``:

    * ``$KEEP``, a directory that outlives a build that fails or is killed, and that only a build
      that succeeds removes: what lies in it is there when the same artifact is built again.
    * ``$OLD``, the damaged version that is being replaced; empty where there is none. Whatever is
      still right may be linked from it into ``$OUT``, once it has been verified.
    * ``$SUMS``, a file for lines ``SHA256 SIZE MTIME ./PATH`` of outputs (the time in whole
      seconds) whose digest the build has worked out itself, so that they are not read once more.
    * ``$NOTES``, a file for lines ``name=value`` about what was made, which ``why`` shows.

    Attributes:
        follow_links: compare a link in it by the file that it leads to, rather than by itself.
        verify: the probe reads every file and compares its sha256 with the manifest.
    """

    kind: ClassVar[str] = "artifact"
    scratch: ClassVar[str] = ".building-"

    inputs: tuple[tuple[str, str], ...]
    build: str
    uses: tuple[Artifact, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    secrets: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    follow_links: bool = field(default=False, kw_only=True)
    verify: bool = field(default=False, kw_only=True)

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

    def probe(self) -> Probe:
        """Whether it is there and whole, and which version is current, made from what."""
        return Probe(_FUNCTION, (self.folder, self.digest, self._links, "yes" * self.verify))

    @property
    def _links(self) -> str:
        """The option of stat that goes through links, or nothing."""
        return "-L" * self.follow_links

    def desired(self) -> Mapping[str, str]:
        """Present, whole and current."""
        inputs = {f"input.{name}": value for name, value in self.all_inputs.items()}
        hashes = {"hashes": "match"} if self.verify else {}
        return {"present": "yes", **hashes, "current": self.digest, **inputs}

    def thorough(self) -> Artifact:
        """The same, with every file read and compared with the manifest."""
        return replace(self, verify=True)

    def apply(self, observed: Observed) -> Apply:
        """Build it as a detached job unless it is there, then make it current."""
        if observed.get("present") == "yes" and observed.get("hashes", "match") == "match":
            return Script(self.switch)
        build = detached(f"{self.title}-{self.digest}", self._job(), dict(self.secrets))
        return Script(f"{build}\n{self.switch}")

    def _job(self) -> str:
        variables = dict(self.variables)
        variables |= {_use_name(artifact.title): artifact.path for artifact in self.uses}
        assignments = "\n".join(
            [
                *(f"{name}={quote(value)}" for name, value in variables.items()),
                *(f"{name}=$rc_job_dir/secrets/{name}" for name, _ in self.secrets),
            ]
        )
        inputs = "".join(
            f"input.{name}={escape(value)}\n" for name, value in self.all_inputs.items()
        )
        uses = [
            part
            for artifact in self.uses
            for part in (artifact.title, artifact.digest, artifact.path)
        ]
        what = [self.folder, self.digest, self.title, inputs, json.dumps(self.all_inputs), *uses]
        return f"""
LC_ALL=C
export LC_ALL
{_SOURCE}
rc_links={self._links}
rc_build_steps() {{
{assignments}
{self.build}
}}
rc_build {words(what)}
"""

    @property
    def leftovers(self) -> tuple[str, ...]:
        """The unfinished version, and what a build keeps for its next attempt."""
        kept = posixpath.join(self.folder, f".kept-{self.digest}")
        return (self.beside, f"{self.beside}.sums", f"{self.beside}.notes", kept)

    def removal(self, observed: Observed) -> Removal | None:
        """Remove this version, if it was not there before; others stay."""
        return self.remove_version() if observed.get("present") == "no" else None


def _use_name(title: str) -> str:
    return "USES_" + re.sub(r"\W", "_", title.upper(), flags=re.ASCII)
