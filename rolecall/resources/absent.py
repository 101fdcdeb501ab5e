"""Nothing at a path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rolecall.errors import ConfigError
from rolecall.resource import Apply, Observed, Probe, Resource, Script
from rolecall.resources.paths import check_path, path_probe
from rolecall.shell import quote


@dataclass(frozen=True)
class Absent(Resource):
    """Nothing at ``path``: a file, a link or, with all that is in it, a directory goes."""

    kind: ClassVar[str] = "absent"

    path: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", check_path(self.path, self.kind))
        if self.path.count("/") < 2:
            raise ConfigError(f"absent: {self.path!r} is too near the root to be removed")

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    def probe(self) -> Probe:
        """What is there."""
        return path_probe(self.path)

    def desired(self) -> Mapping[str, str]:
        """Nothing."""
        return {"type": "absent"}

    def apply(self, observed: Observed) -> Apply:
        """Remove it."""
        return Script(f"rm -rf -- {quote(self.path)}")

    def reads(self) -> frozenset[str]:
        """The path."""
        return frozenset({self.path})

    def writes(self) -> frozenset[str]:
        """The path and everything below it."""
        return frozenset({f"{self.path}/**"})
