"""A look at hosts, told: lines for people and mails, JSON lines for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rolecall.drift.cause import Cause, Setting
from rolecall.drift.found import Field, Found, Moved, Unasked
from rolecall.masks import MASK
from rolecall.output.changes import shown
from rolecall.output.text import Charset, count
from rolecall.resource import Change


@dataclass(frozen=True)
class Told:
    """What was found, with what it is due to.

    Attributes:
        causes: of each field of what has moved.
        settings: by host, the settings with another value than in the last run there.
        next: the commands that show it and put it right.
    """

    found: Found
    causes: dict[tuple[Moved, Field], Cause]
    settings: dict[str, Sequence[Setting]]
    next: str = ""


def lines(told: Told, charset: Charset, *, full: bool = False) -> Iterator[str]:
    """Each difference on a line, ``HOST  ROLE  RESOURCE  FIELD: WAS → IS  (CAUSE)``.

    What is not known, what could not be asked and what to do next follow. ``full`` leaves
    values uncut.
    """
    found = told.found
    for moved in found.moved:
        for line, field in _fields(moved, charset, full=full):
            said = _why(told.causes[moved, field], field) if field else ""
            yield _line(charset, moved.host, moved.role, moved.id, line, said)
        if moved.refused:
            refused = moved.refused.split("\n")[0]
            yield _line(
                charset, moved.host, moved.role, moved.id, f"deploy would refuse: {refused}"
            )
    for host, settings in told.settings.items():
        for one in settings:
            yield _line(
                charset, host, "setting", f"{one.name}: {one.was} {charset.arrow} {one.now}"
            )
    for moved in found.unknown:
        what = "; ".join(line for line, _ in _fields(moved, charset, full=full))
        rest = f"now {what}" if what else "as declared now"
        yield _line(
            charset, moved.host, moved.role, moved.id, f"unknown until {moved.until}", f"({rest})"
        )
    for busy in found.busy:
        yield charset.text(f"{busy}; what differs there may be its doing")
    yield from _ending(told, charset)


def _fields(moved: Moved, charset: Charset, *, full: bool) -> Iterator[tuple[str, Field | None]]:
    """Each field as ``NAME: WAS → IS``; how many more there are, last."""
    # Of a thing that is gone, that it is; of one that is there, every field that differs.
    kept = [field for at, field in enumerate(moved.fields) if full or at == 0 or field.now]
    changes = [Change(field.name, field.was, field.now) for field in kept]
    shows, more = shown(changes, charset, full=full)
    for show, field in zip(shows, kept, strict=False):
        yield show.line(charset), field
    if more := more + len(moved.fields) - len(kept):
        yield f"and {count(more, 'more field')}", None


def _line(charset: Charset, *parts: str) -> str:
    return "  ".join(charset.text(part) for part in parts if part)


def _why(cause: Cause, field: Field) -> str:
    run = cause.run
    since = f" since {run}" if run else ""
    match cause.due:
        case "host" if field.by:
            return f"(owned by {field.by}{since})"
        case "host":
            return f"(changed on the host{since})"
        case "declared":
            return f"(as {run} left it)"
        case "new":
            return f"(not declared in {run})"
        case "both":
            return f"(changed on the host and declared otherwise{since})"
    return ""


def _ending(told: Told, charset: Charset) -> Iterator[str]:
    found = told.found
    for silent in found.unasked:
        reason = silent.reason.split("\n")[0]
        hint = f"; next: {silent.hint}" if silent.hint else ""
        yield charset.text(f"not asked: {silent.host}  {silent.id}".rstrip() + f"  {reason}{hint}")
    if found.moved:
        hosts = len({moved.host for moved in found.moved})
        yield (
            f"drift: {count(len(found.moved), 'resource')} of {found.resources}, "
            f"on {hosts} of {count(len(found.hosts), 'host')}"
        )
    if told.next:
        yield charset.text(f"next: {told.next}")


def nothing(found: Found) -> str:
    """That nothing differs."""
    hosts = count(len(found.hosts), "host")
    return f"No drift: {count(found.resources, 'resource')} on {hosts} as declared."


def events(told: Told) -> Iterator[dict[str, Any]]:
    """The same as JSON-ready data, one for each resource; ``event`` names the kind."""
    found = told.found
    for moved in found.moved:
        yield {
            "event": "drift",
            **_where(moved),
            "fields": [_data(field, told.causes[moved, field]) for field in moved.fields],
            "refused": moved.refused,
        }
    for host, settings in told.settings.items():
        for one in settings:
            yield {"event": "setting", "host": host, **asdict(one)}
    for moved in found.unknown:
        fields = [_data(field, Cause("unknown")) for field in moved.fields]
        yield {"event": "unknown", **_where(moved), "until": moved.until, "fields": fields}
    for busy in found.busy:
        yield {"event": "busy", "message": busy}
    for silent in found.unasked:
        yield _silent(silent)
    yield {
        "event": "summary",
        "hosts": list(found.hosts),
        "resources": found.resources,
        "moved": len(found.moved),
        "unknown": len(found.unknown),
        "unasked": len(found.unasked),
    }


def _where(moved: Moved) -> dict[str, str]:
    return {"host": moved.host, "role": moved.role, "id": moved.id}


def _data(field: Field, cause: Cause) -> dict[str, Any]:
    run = {"run": cause.run.id, "task": cause.run.task} if cause.run else {"run": "", "task": ""}
    secret = field.was == MASK
    return {
        "field": field.name,
        "was": field.was,
        "is": field.now,
        "by": field.by,
        "secret": secret,
        "due": cause.due,
        **run,
    }


def _silent(silent: Unasked) -> dict[str, str]:
    return {"event": "not asked", **asdict(silent)}
