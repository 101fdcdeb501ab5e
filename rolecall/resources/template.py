"""A file rendered from a Jinja2 template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from rolecall.resource import Apply, Observed, Preview, Probe, Removal, Resource
from rolecall.resources.file import File
from rolecall.resources.paths import check_ownership, check_path
from rolecall.template import render


@dataclass(frozen=True)
class Template(Resource):
    """The file ``path`` with the content of the template ``source``, a file of the role.

    Rendering is strict: a variable that is not in ``variables`` is refused before anything is
    changed on the host.
    """

    kind: ClassVar[str] = "template"

    path: str
    source: Path
    variables: Mapping[str, Any] = field(default_factory=dict, hash=False)
    mode: str | None = None
    owner: str | None = None
    group: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", check_path(self.path, self.kind))
        check_ownership(self.id, self.mode, self.owner, self.group)

    @cached_property
    def file(self) -> File:
        """The rendered file.

        Raises:
            ConfigError: a variable is missing or the template is wrong, with file and line.
        """
        return File(
            self.path,
            render(self.source, **self.variables),
            self.mode,
            self.owner,
            self.group,
            sudo=self.sudo,
            secret=self.secret,
        )

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    def probe(self) -> Probe:
        """The file's."""
        return self.file.probe()

    def desired(self) -> Mapping[str, str]:
        """The file's."""
        return self.file.desired()

    def apply(self, observed: Observed) -> Apply:
        """The file's."""
        return self.file.apply(observed)

    def removal(self, observed: Observed) -> Removal | None:
        """The file's."""
        return self.file.removal(observed)

    def previews(self, observed: Observed) -> tuple[Preview, ...]:
        """The file's."""
        return self.file.previews(observed)

    def reads(self) -> frozenset[str]:
        """The path."""
        return frozenset({self.path})

    def writes(self) -> frozenset[str]:
        """The path."""
        return frozenset({self.path})
