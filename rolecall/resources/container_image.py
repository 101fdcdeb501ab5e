"""A container image on the host, from a registry or from an archive."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
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
from rolecall.shell import encode, quote

_HERE = Path(__file__).parent
_FUNCTION = ShellFunction("rc_image", (_HERE / "container_image.sh").read_text(), arity=3)
_JOB = (_HERE / "container_image_job.sh").read_text()

_REFERENCE = re.compile(r"[a-z0-9][\w.:/@-]*")


@dataclass(frozen=True)
class ContainerImage(Resource):
    """The image ``reference`` is on the host.

    A missing one is loaded from ``archive`` where that is given, else pulled, by a detached job
    that shows its progress. The registry's credentials are those of the user's own login
    (``docker login``). A tag says nothing of the content, so one that is there stays as it is; a
    digest (``name@sha256:…``) pins it.

    Attributes:
        reference: as the engine names it: ``name:tag``, ``name@sha256:…`` or an image's id.
        client: the program: ``docker``, ``podman``, or a path to one.
        archive: a file on the host made by ``docker save`` or ``podman save``.
    """

    kind: ClassVar[str] = "image"

    reference: str
    client: str = "docker"
    archive: str = ""

    def __post_init__(self) -> None:
        if not _REFERENCE.fullmatch(self.reference):
            raise ConfigError(
                f"{self.reference!r} is no name of a container image",
                "write name:tag or name@sha256:…, in lower case",
            )

    @property
    def name(self) -> str:
        """The reference."""
        return self.reference

    def probe(self) -> Probe:
        """Whether the engine has it, and its id."""
        return Probe(_FUNCTION, (self.client, self.reference, self.archive))

    def desired(self) -> Mapping[str, str]:
        """Present."""
        return {"present": "yes"}

    def apply(self, observed: Observed) -> Apply:
        """Load or pull it."""
        if observed.get("archive") == "missing":
            return Refuse(
                f"there is no image archive {self.archive} to load {self.reference} from",
                f"copy one there: {self.client} save -o FILE {self.reference}, where it is present",
            )
        values = {"CLIENT": self.client, "REFERENCE": self.reference, "ARCHIVE": self.archive}
        script = "".join(f"{name}={quote(value)}\n" for name, value in values.items()) + _JOB
        digest = hashlib.sha256(encode(script)).hexdigest()[:16]
        return Script(detached(f"image-{digest}", script))

    def removal(self, observed: Observed) -> Removal | None:
        """Remove it, if it was not there before; layers that other images use stay."""
        if observed.get("present") != "no":
            return None
        client, reference = quote(self.client), quote(self.reference)
        return Removal(
            f"! {client} image inspect {reference} >/dev/null 2>&1",
            f"{client} image rm {reference}",
            self.sudo,
        )

    def reads(self) -> frozenset[str]:
        """The image, the engine, and the archive."""
        return frozenset({self.id, "package/**", *([self.archive] if self.archive else [])})

    def writes(self) -> frozenset[str]:
        """The image."""
        return frozenset({self.id})
