"""A heavy thing built once: content-addressed by everything it was made from."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rolecall.jobs import detached
from rolecall.resource import Apply, Observed, Probe, Removal, Script, ShellFunction
from rolecall.resources.versioned import Versioned
from rolecall.shell import escape, quote, words

_SOURCE = Path(__file__).with_suffix(".sh").read_text()
_FUNCTION = ShellFunction("rc_artifact", _SOURCE, arity=2)


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
    are on this host, not what the result is made from.
    """

    kind: ClassVar[str] = "artifact"
    scratch: ClassVar[str] = ".building-"

    inputs: tuple[tuple[str, str], ...]
    build: str
    uses: tuple[Artifact, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()

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
        return Probe(_FUNCTION, (self.folder, self.digest))

    def desired(self) -> Mapping[str, str]:
        """Present, whole and current."""
        inputs = {f"input.{name}": value for name, value in self.all_inputs.items()}
        return {"present": "yes", "current": self.digest, **inputs}

    def apply(self, observed: Observed) -> Apply:
        """Build it as a detached job unless it is there, then make it current."""
        if observed.get("present") == "yes":
            return Script(self.switch)
        build = detached(f"{self.title}-{self.digest}", self._job())
        return Script(f"{build}\n{self.switch}")

    def _job(self) -> str:
        variables = dict(self.variables)
        variables |= {_use_name(artifact.title): artifact.path for artifact in self.uses}
        assignments = "\n".join(f"{name}={quote(value)}" for name, value in variables.items())
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
rc_build_steps() {{
{assignments}
{self.build}
}}
rc_build {words(what)}
"""

    def removal(self, observed: Observed) -> Removal | None:
        """Remove this version, if it was not there before; others stay."""
        return self.remove_version() if observed.get("present") == "no" else None


def _use_name(title: str) -> str:
    return "USES_" + re.sub(r"\W", "_", title.upper(), flags=re.ASCII)
