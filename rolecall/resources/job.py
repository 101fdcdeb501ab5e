"""A command that takes long: it runs detached, and a later run attaches to it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import ClassVar

from rolecall.jobs import detached
from rolecall.resource import Apply, Observed, Script
from rolecall.resources.command import Command
from rolecall.shell import encode


@dataclass(frozen=True)
class Job(Command):
    """A :class:`Command` that outlives the connection, and is never started twice.

    Its script may report progress in lines like
    ``::progress {"done": 3, "total": 9, "unit": "files", "label": "copying"}``.
    """

    kind: ClassVar[str] = "job"

    def apply(self, observed: Observed) -> Apply:
        """Run the script as a detached job named after its title and text."""
        inner = super().apply(observed)
        assert isinstance(inner, Script)
        digest = hashlib.sha256(encode(inner.text)).hexdigest()[:16]
        title = re.sub(r"[^A-Za-z0-9]+", "-", self.title).strip("-")[:40]
        return Script(detached(f"{title}-{digest}", inner.text))
