"""A service that is there no more."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rolecall.resource import Apply, Observed, Probe, Resource, Script, ShellFunction
from rolecall.resources.paths import check_path
from rolecall.shell import quote

_FUNCTION = ShellFunction(
    "rc_service_gone",
    r"""
rc_service_gone() {
  if [ -e "$1" ] || [ -L "$1" ]; then printf 'state=there\n'; else printf 'state=gone\n'; fi
}
""",
)


@dataclass(frozen=True)
class ServiceGone(Resource):
    """The service kept in ``directory`` does not run, and its directory and unit are not there.

    What a role declares in place of a :class:`Service` that its settings no longer have.
    """

    kind: ClassVar[str] = "gone"

    service: str
    directory: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "directory", check_path(self.directory, self.kind))

    @property
    def name(self) -> str:
        """The service's name."""
        return self.service

    @property
    def id(self) -> str:
        """The identity that it had while it was there."""
        return f"service:{self.service}"

    def probe(self) -> Probe:
        """Whether its directory is there."""
        return Probe(_FUNCTION, (self.directory,))

    def desired(self) -> Mapping[str, str]:
        """Gone."""
        return {"state": "gone"}

    def apply(self, observed: Observed) -> Apply:
        """Stop it, and remove its unit and its directory."""
        directory = quote(self.directory)
        program = quote(posixpath.join(self.directory, "supervise"))
        return Script(
            f"if [ -e {program} ]; then sh {program} remove {directory}; fi\nrm -rf -- {directory}"
        )

    def reads(self) -> frozenset[str]:
        """The service."""
        return self.writes()

    def writes(self) -> frozenset[str]:
        """The service and its directory."""
        return frozenset({self.id, f"{self.directory}/**"})
