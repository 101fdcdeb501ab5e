"""A service taken back to what it served before."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rolecall.resource import Apply, Observed, Probe, Refuse, Resource, Script
from rolecall.resources.service.texts import rollback_function
from rolecall.shell import quote


@dataclass(frozen=True)
class ServiceRollback(Resource):
    """The service kept in ``directory`` serves from its earlier start ``to``, in one restart.

    What a service is started from is remembered once it was ready; ``previous`` of
    :func:`status_script` names the start to go back to. It serves again as it did then: the
    same command, environment and settings. Files that the program reads are not remembered, so
    what is to be gone back to has to lie at paths of its own, as artifacts do.

    Attributes:
        service: the service's name.
        to: the start to go back to; empty where there is none, which is refused.
    """

    kind: ClassVar[str] = "rollback"

    service: str
    directory: str
    to: str

    @property
    def name(self) -> str:
        """The service's name."""
        return self.service

    def probe(self) -> Probe:
        """What runs, and whether the earlier start is known and can be made."""
        return Probe(rollback_function(), (self.directory, self.to))

    def desired(self) -> Mapping[str, str]:
        """Running from the earlier start, and ready."""
        return {"state": "running", "started": self.to or "earlier", "ready": "yes"}

    def apply(self, observed: Observed) -> Apply:
        """Stop what runs and start what ran before; whatever is in the way is told first."""
        if observed.get("known") != "yes":
            return Refuse(
                f"{self.service} has served nothing else before that it could go back to",
                "the last ten starts that became ready are remembered, from the second deploy on",
            )
        if missing := observed.get("missing"):
            return Refuse(
                f"{self.service} cannot go back: {missing} is no longer there",
                "deploy with the settings of that time, which makes it again",
            )
        if taken := observed.get("taken"):
            return Refuse(
                f"another process listens where {self.service} has to: {taken}",
                "stop that process",
            )
        program = quote(posixpath.join(self.directory, "supervise"))
        return Script(f"sh {program} rollback {quote(self.directory)} {quote(self.to)}")

    def reads(self) -> frozenset[str]:
        """The service."""
        return self.writes()

    def writes(self) -> frozenset[str]:
        """The service."""
        return frozenset({f"service:{self.service}", f"{self.directory}/**"})
