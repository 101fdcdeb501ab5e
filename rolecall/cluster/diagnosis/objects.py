"""Reading objects and events as the API has them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rolecall.cluster.objects import Object


def name(thing: Object) -> str:
    """An object's name."""
    return str(thing["metadata"]["name"])


def uid(thing: Object) -> str:
    """What tells an object from an earlier one of the same name."""
    return str(thing["metadata"].get("uid", ""))


def status(thing: Object) -> Mapping[str, Any]:
    """What its controller says of it; empty where none has said anything."""
    return thing.get("status") or {}


def condition(thing: Object, kind: str) -> Mapping[str, Any]:
    """A condition of its status; empty where it has none of the kind."""
    found = [one for one in status(thing).get("conditions") or () if one.get("type") == kind]
    return found[0] if found else {}


def owned_by(things: Iterable[Object], owner: Object) -> list[Object]:
    """Those that ``owner`` controls."""
    wanted = uid(owner)
    return [
        thing
        for thing in things
        if any(ref.get("uid") == wanted for ref in thing["metadata"].get("ownerReferences") or ())
    ]


def newest_first(things: Iterable[Object]) -> list[Object]:
    """By the time they were made."""
    return sorted(
        things,
        key=lambda thing: (thing["metadata"].get("creationTimestamp") or "", name(thing)),
        reverse=True,
    )


def events_of(events: Iterable[Object], thing: Object) -> list[Object]:
    """What has been reported of an object, the latest first (core/v1 Event)."""
    wanted = uid(thing)
    return sorted(
        (event for event in events if (event.get("involvedObject") or {}).get("uid") == wanted),
        key=_when,
        reverse=True,
    )


def latest(events: Sequence[Object], *reasons: str) -> Object | None:
    """The latest event with one of these reasons, of events the latest first."""
    return next((event for event in events if event.get("reason") in reasons), None)


def said(event: Object | None) -> str:
    """An event's message in one line; empty where there is none."""
    return one_line(str((event or {}).get("message") or ""))


def one_line(text: str) -> str:
    """Any text in one line."""
    return " ".join(text.split())


def _when(event: Object) -> str:
    series = event.get("series") or {}
    return str(
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
        or ""
    )


def amounts(values: Mapping[str, Any]) -> str:
    """Amounts of resources as text: ``cpu 4, memory 64Gi``."""
    return ", ".join(f"{key} {_text(value)}" for key, value in values.items())


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def asked_for(pod_spec: Mapping[str, Any], resource: str) -> str:
    """How much of a resource the containers of a pod ask for: ``1``, or ``1 + 2``."""
    found: list[str] = []
    for container in pod_spec.get("containers") or ():
        has = container.get("resources") or {}
        value = (has.get("requests") or {}).get(resource, (has.get("limits") or {}).get(resource))
        if value is not None:
            found.append(_text(value))
    return " + ".join(found)
