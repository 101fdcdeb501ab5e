"""A manifest against a live object and who owns its fields, part by part.

See :mod:`rolecall.cluster.fields` for what it is of use for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rolecall.cluster.managed import (
    Entry,
    Item,
    Step,
    Tree,
    entries,
    is_list,
    item_key,
    owners,
    reached,
    step_of,
)
from rolecall.cluster.objects import Object
from rolecall.cluster.same import MISSING, settled
from rolecall.cluster.secret import decoded, is_secret
from rolecall.cluster.shapes import KEY_DEFAULTS, Shapes, item_of
from rolecall.cluster.told import FieldChange, kind_of, shown, text_of

#: Fields of ``metadata`` that nobody owns (apimachinery 0.34, managedfields/internal/stripmeta.go).
UNOWNED = frozenset(
    {
        "clusterName",
        "creationTimestamp",
        "generation",
        "managedFields",
        "name",
        "namespace",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)


#: The annotation that :func:`stamped` adds.
STAMP = "rolecall.dev/applied"


def tops(desired: Object) -> Iterator[tuple[tuple[Step, ...], Any]]:
    """What of a manifest can be owned, but for its status: that is not for an apply to set."""
    for name, value in desired.items():
        if name == "metadata":
            for inner, child in value.items():
                if inner not in UNOWNED:
                    yield (name, inner), child
        elif name not in ("apiVersion", "kind", "status"):
            yield (name,), value


def _stamp(thing: Object) -> str:
    return str((thing["metadata"].get("annotations") or {}).get(STAMP, ""))


@dataclass
class Comparison:
    """One object's comparison.

    Every step takes the value that is desired, the live one (or MISSING), and what we own there:
    None is nothing, an empty tree the whole of it.
    """

    desired: Object
    live: Object
    shapes: Shapes
    ours: Tree | None
    ours_version: str
    others: list[Entry]
    same_manifest: bool

    @classmethod
    def of(cls, desired: Object, live: Object, manager: str) -> Comparison:
        """The comparison as ``manager`` has it."""
        ours: Entry | None = None
        others = []
        for entry in entries(live):
            if entry.manager == manager and entry.applied and not entry.subresource:
                ours = entry
            else:
                others.append(entry)
        shapes = Shapes.of(desired)
        if ours is None:
            return cls(desired, live, shapes, None, "", others, same_manifest=False)
        same = bool(_stamp(desired)) and _stamp(desired) == _stamp(live)
        return cls(desired, live, shapes, ours.fields, ours.api_version, others, same)

    def changes(self) -> Iterator[FieldChange]:
        """Every field that an apply would write."""
        if self.ours is not None and self.ours_version != self.desired["apiVersion"]:
            # The entry is written anew, with the version that its fields are of.
            yield FieldChange("apiVersion", self.ours_version, self.desired["apiVersion"], "")
        metadata = self.live.get("metadata") or {}
        ours = self.ours
        ours_metadata = None if ours is None else ours.get("f:metadata")
        for path, value in tops(self.desired):
            if len(path) > 1:
                mine = None if ours_metadata is None else ours_metadata.get(f"f:{path[1]}")
                yield from self._value(path, value, metadata.get(path[1], MISSING), mine)
            else:
                mine = None if ours is None else ours.get(f"f:{path[0]}")
                yield from self._value(path, value, self._live_top(str(path[0])), mine)
        yield from self._status(ours)
        if ours is not None:
            yield from self._gone((), {**self.desired, "status": {}}, ours, skip=("f:metadata",))
        if ours_metadata is not None:
            yield from self._gone(("metadata",), self.desired["metadata"], ours_metadata)

    def _status(self, ours: Tree | None) -> Iterator[FieldChange]:
        """Only of a kind that has no subresource for it does an apply own a status."""
        mine = None if ours is None else ours.get("f:status")
        if mine is None:
            return
        if "status" in self.desired:
            live = self.live.get("status", MISSING)
            yield from self._value(("status",), self.desired["status"], live, mine)
        else:
            yield from self._lost(("status",), mine)

    def _at(self, path: tuple[Step, ...]) -> Any:
        """The live value at a path."""
        top = str(path[0])
        return _at({**self.live, top: self._live_top(top)}, path)

    def _live_top(self, name: str) -> Any:
        """A field at the top; what a Secret's stringData has become lies in its data."""
        if name == "stringData" and is_secret(self.desired):
            return {key: decoded(value) for key, value in (self.live.get("data") or {}).items()}
        return self.live.get(name, MISSING)

    def _value(
        self, path: tuple[Step, ...], desired: Any, live: Any, mine: Tree | None
    ) -> Iterator[FieldChange]:
        if isinstance(desired, (str, int, float)):
            yield from self._scalar(path, desired, live, mine)
        elif isinstance(desired, Mapping):
            if self._whole(path, desired, mine):
                yield from self._atomic(path, desired, live, mine)
            elif desired:
                yield from self._map(path, desired, live, mine)
            else:
                yield from self._empty(path, desired, live, mine)
        elif isinstance(desired, list):
            yield from self._list(path, desired, live, mine)
        else:
            yield from self._scalar(path, desired, live, mine)

    def _scalar(
        self, path: tuple[Step, ...], desired: Any, live: Any, mine: Tree | None
    ) -> Iterator[FieldChange]:
        if mine is None or not self._kept(path, desired, live):
            yield self._change(path, live, desired)
        elif mine:
            yield from self._gone(path, {}, mine)

    def _kept(self, path: tuple[Step, ...], desired: Any, live: Any) -> bool:
        """Whether the server, told this, keeps what it has; it drops what is empty."""
        if self.same_manifest or (desired.__class__ is str and desired == live):
            return True
        if live is MISSING:
            return not desired
        if desired is None and isinstance(live, (list, Mapping)) and self._merged(path):
            return True
        return settled(desired, live, path, self.shapes)

    def _merged(self, path: tuple[Step, ...]) -> bool:
        """Whether null leaves what others have put into a list or a map."""
        if not self.shapes.sure(path):
            return bool(self._parts(path))
        live = self._at(path)
        if isinstance(live, list):
            return bool(self.shapes.keys(path, live)) or self.shapes.is_set(path)
        return not self.shapes.atomic(path)

    def _whole(self, path: tuple[Step, ...], desired: Any, mine: Tree | None) -> bool:
        """Whether a map that is not empty is one value."""
        if self.shapes.sure(path):
            return self.shapes.atomic(path)
        return bool(desired) and mine is not None and not mine and not self._parts(path)

    def _parts(self, path: tuple[Step, ...]) -> Tree | None:
        """What someone owns of a field part by part, which tells that it has parts."""
        for entry in self.others:
            if found := reached(entry.fields, path):
                return found
        return None

    def _atomic(
        self, path: tuple[Step, ...], desired: Any, live: Any, mine: Tree | None
    ) -> Iterator[FieldChange]:
        """One value, owned as a whole. A guessed shape shows which part of it differs."""
        same = self._kept(path, desired, live)
        if same and mine is not None:
            return
        if self.shapes.sure(path):
            yield self._change(path, live, desired)
            return
        wanted = dict(self.shapes.leaves(desired, path))
        had = {} if live is MISSING else dict(self.shapes.leaves(live, path))
        told = False
        for leaf, value in wanted.items():
            now = had.get(leaf, MISSING)
            if same or not self._kept(leaf, value, now):
                told = True
                yield self._change(leaf, now, value)
        for leaf, now in had.items():
            if leaf not in wanted and not same:
                told = True
                yield self._change(leaf, now, MISSING)
        if not told:
            yield self._change(path, live, desired)

    def _empty(
        self, path: tuple[Step, ...], desired: Any, live: Any, mine: Tree | None
    ) -> Iterator[FieldChange]:
        """A map without fields: it is owned, and others may put theirs into it."""
        if mine is None or (live is not MISSING and not isinstance(live, Mapping)):
            yield self._change(path, live, desired)
        else:
            yield from self._gone(path, desired, mine)

    def _map(
        self, path: tuple[Step, ...], desired: Mapping[str, Any], live: Any, mine: Tree | None
    ) -> Iterator[FieldChange]:
        has = live if isinstance(live, Mapping) else {}
        for name, value in desired.items():
            owned = None if mine is None else mine.get(f"f:{name}")
            yield from self._value((*path, name), value, has.get(name, MISSING), owned)
        if mine:
            yield from self._gone(path, desired, mine)

    def _list(
        self, path: tuple[Step, ...], desired: list[Any], live: Any, mine: Tree | None
    ) -> Iterator[FieldChange]:
        keys = self._keys(path, desired, mine)
        merged = keys or self.shapes.is_set(path) or self._is_set(path, mine)
        if not merged:
            if not desired and mine is None and not self.shapes.sure(path) and not _there(live):
                # Whoever wrote the schema knows whether that is owned; it is seen once it was.
                return
            yield from self._atomic(path, desired, live, mine)
            return
        items = live if isinstance(live, list) else []
        want = _index(desired, keys)
        have = _index(items, keys)
        trees = _items(mine or {})
        want = {_known(item, have, trees): value for item, value in want.items()}
        for item, value in want.items():
            now = have.get(item, MISSING)
            yield from self._item((*path, item), value, now, trees.get(item), keys)
        shared = [item for item in have if item in want]
        if shared != [item for item in want if item in have]:
            yield self._change(path, [str(one) for one in have], [str(one) for one in want])
        for item, tree in trees.items():
            if item not in want:
                yield from self._lost((*path, item), tree)

    def _keys(
        self, path: tuple[Step, ...], desired: list[Any], mine: Tree | None
    ) -> tuple[str, ...]:
        """The keys of a list's items, as somebody's ownership or the tables have them."""
        if self.shapes.sure(path):
            return self.shapes.keys(path, desired)
        if mine is not None and not mine:
            return ()
        tree = mine or self._parts(path)
        if not tree:
            return self.shapes.keys(path, desired)
        return next(
            (tuple(name for name, _ in item_key(raw)) for raw in tree if raw.startswith("k:")), ()
        )

    def _is_set(self, path: tuple[Step, ...], mine: Tree | None) -> bool:
        if self.shapes.sure(path):
            return False
        tree = mine if mine is not None else self._parts(path)
        return bool(tree) and is_list(tree or {})

    def _item(
        self,
        path: tuple[Step, ...],
        desired: Any,
        live: Any,
        mine: Tree | None,
        keys: tuple[str, ...],
    ) -> Iterator[FieldChange]:
        """An item of a list; its keys are what it is found by, so they never differ."""
        if not keys or self.shapes.whole_item(path) or (mine is not None and not mine):
            if live is MISSING or mine is None or not self._kept(path, desired, live):
                yield self._change(path, live, desired)
            return
        if all(name in keys for name in desired) and (live is MISSING or mine is None):
            yield self._change(path, live, desired)
            return
        has = live if isinstance(live, Mapping) else {}
        for name, value in desired.items():
            if name in keys and (mine is None or f"f:{name}" in mine):
                continue
            owned = None if mine is None else mine.get(f"f:{name}")
            yield from self._value((*path, name), value, has.get(name, MISSING), owned)
        if mine:
            yield from self._gone(path, desired, mine)

    def _gone(
        self,
        path: tuple[Step, ...],
        desired: Mapping[str, Any],
        mine: Tree,
        skip: Sequence[str] = (),
    ) -> Iterator[FieldChange]:
        """What we own at a map and the manifest no longer has."""
        for raw, tree in mine.items():
            kept = raw == "." or (raw.startswith("f:") and raw[2:] in desired)
            if not kept and raw not in skip:
                yield from self._lost((*path, step_of(raw)), tree)

    def _lost(self, path: tuple[Step, ...], mine: Tree) -> Iterator[FieldChange]:
        """A field that we own no longer: it goes, unless someone else owns it too."""
        others = [entry for entry in self.others if reached(entry.fields, path) is not None]
        if others and any(raw != "." for raw in mine):
            for raw, tree in mine.items():
                if raw != ".":
                    yield from self._lost((*path, step_of(raw)), tree)
        else:
            live = self._at(path)
            yield self._change(path, live, live if others else MISSING)

    def _change(self, path: tuple[Step, ...], before: Any, after: Any) -> FieldChange:
        held = path
        if path[0] == "stringData" and is_secret(self.desired):
            held = ("data", *path[1:])
        was = None if before is MISSING else text_of(before, path, self.desired)
        will = None if after is MISSING else text_of(after, path, self.desired)
        if was is not None and was == will and not settled(after, before, path, self.shapes):
            was = f"{was} ({kind_of(before)})"
        return FieldChange(shown(path), was, will, ", ".join(owners(self.others, held)))


def _index(items: Sequence[Any], keys: tuple[str, ...]) -> dict[Item, Any]:
    """The items of a list by what tells them apart."""
    if not keys:
        return {Item(value=value): value for value in items if isinstance(value, (str, int))}
    return {item_of(value, keys): value for value in items if isinstance(value, Mapping)}


def _items(mine: Tree) -> dict[Item, Tree]:
    """What we own of the items of a list."""
    steps = ((step_of(raw), tree) for raw, tree in mine.items())
    return {step: tree for step, tree in steps if isinstance(step, Item)}


def _known(item: Item, *indexes: Mapping[Any, Any]) -> Item:
    """An item whose keys a server has filled in, as it is known there."""
    for index in indexes:
        if item in index:
            return item
    for index in indexes:
        found = [one for one in index if isinstance(one, Item) and set(item.key) < set(one.key)]
        if item.key and len(found) == 1:
            return found[0]
    return item


def _at(live: Object, path: Sequence[Step]) -> Any:
    """The live value at a path."""
    value: Any = live
    for step in path:
        if isinstance(step, str):
            value = value.get(step, MISSING) if isinstance(value, Mapping) else MISSING
        elif isinstance(value, list):
            value = next((one for one in value if _is_item(one, step)), MISSING)
        else:
            return MISSING
    return value


def _is_item(value: Any, item: Item) -> bool:
    if not item.key:
        return bool(value == item.value)
    return isinstance(value, Mapping) and all(
        value.get(name, KEY_DEFAULTS.get(name)) == key for name, key in item.key
    )


def _there(live: Any) -> bool:
    return live is not MISSING and bool(live)
