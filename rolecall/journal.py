"""The host's journal: what Rolecall began and finished there, and how to undo creations.

The host appends to it in front of and behind every change (loop/prelude.sh), so that a run
killed in between leaves a record of what it may have made.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from rolecall.loop.answers import parts
from rolecall.resource import Removal
from rolecall.session import Session

_SCRIPT = 'rc_frame journal; cat -- "$rc_home/journal" 2>/dev/null'


@dataclass(frozen=True)
class Entry:
    """One line: a change ``begun`` or ``done``. ``changes`` are field, before, after."""

    at: str
    run: str
    state: str
    id: str
    changes: tuple[tuple[str, str | None, str | None], ...] = ()
    removal: Removal | None = None


def fetch(session: Session) -> list[Entry]:
    """The journal of a session's host, in one round trip; empty when there is none."""
    lines: list[str] = []
    for part in parts(session.exchange(_SCRIPT)):
        if part.frame.kind == "journal":
            lines = part.lines
    return read(lines)


def read(lines: Iterable[str]) -> list[Entry]:
    """Read a journal; a line cut short by a crash is left out."""
    return [entry for entry in map(_entry, lines) if entry]


def _entry(line: str) -> Entry | None:
    try:
        data: dict[str, Any] = json.loads(line)
        removal = data.get("removal")
        return Entry(
            _time(data["at"]),
            data["run"],
            data["state"],
            data["id"],
            tuple((str(name), before, after) for name, before, after in data.get("changes", ())),
            Removal(**removal) if removal else None,
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _time(at: int | str) -> str:
    """When, in UTC; a host notes the seconds since 1970."""
    if isinstance(at, str):
        return at
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def created(entries: Iterable[Entry]) -> list[tuple[str, Removal]]:
    """What was created, each once, in the order in which it was last created or started.

    A service is begun anew with whatever it is restarted for, so it comes behind that.
    """
    found: dict[tuple[str, Removal], None] = {}
    for entry in entries:
        if entry.removal:
            found.pop((entry.id, entry.removal), None)
            found[entry.id, entry.removal] = None
    return list(found)


def last_change(entries: Iterable[Entry], resource_id: str) -> Entry | None:
    """The newest change of a resource that was proven, with its fields."""
    begun: Entry | None = None
    last: Entry | None = None
    for entry in entries:
        if entry.id != resource_id:
            continue
        if entry.state == "begin":
            begun = entry
        elif entry.state == "done":
            last = begun if begun and begun.run == entry.run else entry
    return last
