"""Who owns which field of an object: what ``metadata.managedFields`` says.

A tree of owned fields (``FieldsV1``, structured-merge-diff 6, fieldpath/serialize.go) is nested
mappings. Their keys are ``f:NAME`` (a field), ``k:{"name":"x"}`` (the item of a list that has
these keys), ``v:"x"`` (an item of a set), ``i:0`` (an item by its place) and ``.`` (the thing
itself, where something in it is owned too). An empty mapping is a field owned as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from rolecall.cluster.objects import Object

#: A tree of owned fields.
Tree: TypeAlias = Mapping[str, Any]

#: The keys of an item of a list, by name: (("containerPort", 8000), ("protocol", "TCP")).
Key: TypeAlias = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Item:
    """A step into a list that its API treats as a map (``key``) or as a set (``value``)."""

    key: Key = ()
    value: Any = None

    def __str__(self) -> str:
        shown = ",".join(f"{name}={value}" for name, value in self.key)
        return f"[{shown or self.value}]"


#: A step towards a field: its name, or which item of a list.
Step: TypeAlias = str | Item


@dataclass(frozen=True)
class Entry:
    """What one manager owns by one way of writing.

    ``applied`` is ours to keep: fields that its next apply leaves out are removed. A manager
    that updates owns what it has changed.
    """

    manager: str
    applied: bool
    subresource: str
    api_version: str
    time: str
    fields: Tree


def entries(live: Object) -> list[Entry]:
    """The entries of an object, the latest first."""
    found = [
        Entry(
            raw.get("manager", ""),
            raw.get("operation") == "Apply",
            raw.get("subresource", ""),
            raw.get("apiVersion", ""),
            raw.get("time") or "",
            raw.get("fieldsV1") or {},
        )
        for raw in live.get("metadata", {}).get("managedFields") or ()
        if raw.get("fieldsV1")
    ]
    return sorted(found, key=lambda entry: entry.time, reverse=True)


@lru_cache(maxsize=4096)
def item_key(raw: str) -> Key:
    """The keys of an item from ``k:{...}``, sorted by name."""
    found: dict[str, Any] = json.loads(raw[2:])
    return tuple(sorted(found.items()))


@lru_cache(maxsize=4096)
def item_value(raw: str) -> Any:
    """The item of a set from ``v:...``."""
    return json.loads(raw[2:])


@lru_cache(maxsize=4096)
def step_of(raw: str) -> Step:
    """The step that a key of a tree is."""
    if raw.startswith("k:"):
        return Item(key=item_key(raw))
    if raw.startswith("v:"):
        return Item(value=item_value(raw))
    return raw[2:]


def below(tree: Tree, step: Step) -> Tree | None:
    """What is owned at and under a step; None where nothing is."""
    if isinstance(step, str):
        return _tree(tree.get(f"f:{step}"))
    for raw, child in tree.items():
        if step.key and raw.startswith("k:") and _fits(step.key, item_key(raw)):
            return _tree(child)
        if not step.key and raw.startswith("v:") and item_value(raw) == step.value:
            return _tree(child)
    return None


def _tree(child: Any) -> Tree | None:
    found: Tree | None = child
    return found


def _fits(some: Key, key: Key) -> bool:
    return set(some) <= set(key)


def reached(tree: Tree, path: Sequence[Step]) -> Tree | None:
    """What is owned at and under a path.

    A field is owned too where the field that holds it is owned as a whole.
    """
    at: Tree | None = tree
    for step in path:
        if at is None or not at:
            return at
        at = below(at, step)
    return at


def owners(others: Sequence[Entry], path: Sequence[Step]) -> Iterator[str]:
    """Who owns something at or under a path, the latest first, each once."""
    seen: set[str] = set()
    for entry in others:
        if entry.manager not in seen and reached(entry.fields, path) is not None:
            seen.add(entry.manager)
            yield entry.manager


def is_list(tree: Tree) -> bool:
    """Whether what is owned are the items of a list that has keys, or of a set."""
    return any(raw[:2] in ("k:", "v:") for raw in tree)
