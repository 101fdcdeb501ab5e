"""Undo: remove exactly what the journal says was created, newest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from rolecall import journal
from rolecall.resource import Apply, Observed, Probe, Removal, Resource, Script, ShellFunction

_FUNCTION = ShellFunction(
    "rc_removed",
    r"""
rc_removed() {
  if (eval "$1") </dev/null >/dev/null 2>&1; then printf 'removed=yes\n'
  else printf 'removed=no\n'; fi
}
""",
)


@dataclass(frozen=True)
class Removed(Resource):
    """A resource of an earlier run, gone. It is known by its journal entry alone."""

    kind: ClassVar[str] = "removed"

    what: str
    undo: Removal

    @property
    def name(self) -> str:
        """What is removed."""
        return self.what

    @property
    def id(self) -> str:
        """The identity it had while it was there."""
        return self.what

    def probe(self) -> Probe:
        """Run the journal's test."""
        return Probe(_FUNCTION, (self.undo.gone,))

    def desired(self) -> Mapping[str, str]:
        """Gone."""
        return {"removed": "yes"}

    def apply(self, observed: Observed) -> Apply:
        """Run the journal's script."""
        return Script(self.undo.script)

    def reads(self) -> frozenset[str]:
        """Itself: removals are independent of each other."""
        return frozenset({f"removed:{self.what}"})

    def writes(self) -> frozenset[str]:
        """Itself."""
        return self.reads()


#: Under what a run tells removals: the roles that made these things may be gone by now.
ROLE = "destroy"


def removals(entries: Iterable[journal.Entry]) -> list[tuple[str, Resource]]:
    """What was created according to a journal, newest first; before that, no job may run."""
    created = journal.created(entries)
    found: list[tuple[str, Resource]] = [
        (ROLE, Removed(what, undo, sudo=undo.sudo)) for what, undo in reversed(created)
    ]
    return [(ROLE, Removed("jobs", _NO_JOBS)), *found] if found else []


_NO_JOBS = Removal('[ -z "$(rc_live_jobs)" ]', "rc_stop_jobs")

#: Said once everything is gone: the lock's release then takes the journal and the jobs along.
FORGET = '[ ! -d "$rc_home" ] || { rc_lock && rc_forget=1; }'
