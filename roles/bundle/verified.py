"""A bundle on a host: it has every piece that is needed, and every file is what it was."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from rolecall.api import (
    Apply,
    Observed,
    Probe,
    Refuse,
    Removal,
    Resource,
    Script,
    ShellFunction,
    detached,
    quote,
    words,
)

_SOURCE = Path(__file__).with_suffix(".sh").read_text()
_FUNCTION = ShellFunction("rc_bundle", _SOURCE)

#: Of many names, as many are told.
_TOLD = 5


@dataclass(frozen=True)
class VerifiedBundle(Resource):
    """The bundle at ``path`` is whole.

    Every file is read once; size and time of each are noted in ``record``, and as long as they
    stay the same the files are not read again.

    Attributes:
        needs: for each piece a basic regular expression for its key, what it is in words, and a
            shell test that succeeds where the host has it already.
        command: the command that adds a piece.
        verify: the probe reads every file.
    """

    kind: ClassVar[str] = "bundle"

    path: str
    record: str
    needs: tuple[tuple[str, str, str], ...]
    command: str
    verify: bool = False

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    def probe(self) -> Probe:
        """Which pieces and files are missing, and whether the files are those that were read."""
        pieces = [part for key, _, unless in self.needs for part in (key, unless)]
        return Probe(_FUNCTION, (self.path, self.record, "yes" * self.verify, *pieces))

    def desired(self) -> Mapping[str, str]:
        """Nothing is missing or wrong."""
        wrong = {"wrong": ""} if self.verify else {}
        return {"bundle": "yes", "lacking": "", "missing": "", "verified": "yes", **wrong}

    def thorough(self) -> VerifiedBundle:
        """The same, with every file read."""
        return replace(self, verify=True)

    def apply(self, observed: Observed) -> Apply:
        """Read every file; what is missing only the user can bring."""
        if observed.get("bundle") != "yes":
            return Refuse(
                f"there is no bundle in {self.path} on the host",
                f"make it where there is a network, and copy it there: {self.command}",
            )
        if numbers := observed.get("lacking").split():
            names = "; ".join(self.needs[int(number) - 1][1] for number in numbers)
            return Refuse(
                f"the bundle {self.path} does not have {names}",
                f"add it where the bundle was made, and copy it here again: {self.command}",
            )
        if missing := observed.get("missing").split(" ") if observed.get("missing") else []:
            return Refuse(
                f"the bundle {self.path} lacks {_some(missing)}",
                f"copy it here again, all of it; where it was made, {self.command} mends it",
            )
        if wrong := observed.get("wrong").split():
            return Refuse(
                f"damaged in the bundle {self.path}: {_some(wrong)}",
                f"copy them here again; where it was made, {self.command} mends it",
            )
        digest = hashlib.sha256(f"{self.path}\0{self.record}".encode()).hexdigest()[:16]
        call = words(("rc_bundle_verify", self.path, self.record))
        return Script(detached(f"bundle-{digest}", f"{_SOURCE}\n{call}"))

    def removal(self, observed: Observed) -> Removal | None:
        """Forget it, if nothing was known of it; the bundle itself stays."""
        if observed.get("record") != "no":
            return None
        record = quote(self.record)
        return Removal(f"[ ! -e {record} ]", f"rm -f -- {record} {quote(self.record + '.new')}")

    def reads(self) -> frozenset[str]:
        """The bundle, and what is known of it."""
        return frozenset({f"{self.path}/**", self.record})

    def writes(self) -> frozenset[str]:
        """What is known of it."""
        return frozenset({self.record})


def _some(names: list[str]) -> str:
    more = len(names) - _TOLD
    return ", ".join(names[:_TOLD]) + (f" and {more} more" if more > 0 else "")
