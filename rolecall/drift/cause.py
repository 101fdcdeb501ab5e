"""What a difference is due to: somebody's hand on the host, or another declaration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from rolecall.drift.found import Field, Moved
from rolecall.drift.record import Record, Run
from rolecall.masks import MASK

#: ``host``: changed there, by something else than a run on record. ``declared``: as a run left
#: it, and something else is declared now. ``both`` of these. ``new``: it was not declared when
#: its role had its last run. ``unknown``: no record tells.
Due = Literal["host", "declared", "both", "new", "unknown"]

#: The settings of a host, by role and name, as text; secrets are masked.
Values = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Cause:
    """What a difference is due to.

    Attributes:
        run: the run on record that it is told by.
    """

    due: Due
    run: Run | None = None


@dataclass(frozen=True)
class Setting:
    """A setting that has another value than in a run on record."""

    name: str
    was: str
    now: str


def causes(record: Record, settings: Values, moved: Moved) -> dict[Field, Cause]:
    """What each difference of a resource is due to.

    Where the last run on it has left a field as it is, such as ``state`` by ``./inv stop``, what
    that run did not declare may follow from it, such as ``ready``.
    """
    found = {field: cause(record, settings, moved, field) for field in moved.fields}
    proven = record.proven.get((moved.host, moved.id))
    if Cause("declared", proven) not in found.values():
        return found
    follows = Cause("host", proven)
    return {
        field: Cause("unknown", proven) if due == follows and not field.by else due
        for field, due in found.items()
    }


def cause(record: Record, settings: Values, moved: Moved, field: Field) -> Cause:
    """What one difference is due to, as far as the record tells.

    What a field was last changed to decides. Where no record has that, the same settings
    declare the same, so that the difference came about on the host.
    """
    where = (moved.host, moved.id)
    proven = record.proven.get(where)
    if where in record.removed:
        return Cause("declared", record.removed[where])
    if MASK in (field.was, field.now):
        return Cause("unknown", proven)
    if field.by:
        return Cause("host", proven)
    if field.ours:
        return Cause("declared", proven)
    if (where, field.name) in record.left:
        left, run = record.left[where, field.name]
        if field.now in left:
            return Cause("declared", run)
        return Cause("host", proven or run) if field.was in left else Cause("both", run)
    if proven:
        same = not any(changed_settings(record, settings, moved.host, proven))
        told = proven.id in {run for run, _ in record.settings}
        return Cause("host" if same and told else "unknown", proven)
    known = record.roles.get((moved.host, moved.role))
    return Cause("new", known) if known else Cause("unknown")


def changed_settings(record: Record, settings: Values, host: str, run: Run) -> Iterator[Setting]:
    """The settings of a host that differ from what they were in a run.

    A secret is not compared: none is on record.
    """
    then = record.settings.get((run.id, host), {})
    for role, values in settings.items():
        for name, now in values.items():
            was = then.get(role, {}).get(name, now)
            if was != now:
                yield Setting(f"{role}.{name}", was, now)
