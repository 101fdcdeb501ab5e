"""How fields and their values are told to people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rolecall.cluster.managed import Item, Step
from rolecall.cluster.objects import Object
from rolecall.cluster.secret import LAST_APPLIED, data_digest, digest, is_secret, masked_notes

#: Longer values are told by their size and digest.
LONGEST = 400


_NOUNS = {str: "text", bool: "boolean", type(None): "null", list: "list", dict: "map"}


@dataclass(frozen=True)
class FieldChange:
    """One field that an apply would write.

    Attributes:
        path: such as ``spec.template.spec.containers[name=triton].image``.
        before: its value now; None where the object has none.
        after: its value then; None where the manifest leaves it out, so that it goes or gets
            its default. The same as ``before`` where only its owner changes.
        owner: who else holds it now, by the name of the manager; empty where nobody does.
    """

    path: str
    before: str | None
    after: str | None
    owner: str


def shown(path: Sequence[Step]) -> str:
    """A path as it is told: names with dots or slashes stand in brackets."""
    text = ""
    for step in path:
        if isinstance(step, Item) or "." in step or "/" in step:
            text += str(step) if isinstance(step, Item) else f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def text_of(value: Any, path: Sequence[Step], thing: Object) -> str:
    """A value on one line, the same for the same value; a Secret's as a digest."""
    if is_secret(thing) and path[0] in ("data", "stringData"):
        if not isinstance(value, str):
            return digest(json.dumps(value, sort_keys=True))
        return data_digest(value) if path[0] == "data" else digest(value)
    if is_secret(thing) and isinstance(value, Mapping) and path[-1] == "annotations":
        value = masked_notes(value)
    if is_secret(thing) and path[-1] == LAST_APPLIED:
        return digest(str(value))
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, sort_keys=True)
    if "\n" in value:
        return f"{len(value.splitlines())} lines, {digest(value)}"
    return f"{len(value)} characters, {digest(value)}" if len(value) > LONGEST else value


def kind_of(value: Any) -> str:
    """What tells values apart that are written the same: "1" is a text or a number."""
    return _NOUNS.get(value.__class__, "number")
