"""Comparisons of objects whose ownership is simple enough to write down."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity

from rolecall.cluster.fields import FieldChange, compare
from rolecall.cluster.quantity import quantity, same_quantity
from rolecall.cluster.unified import unified

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
DATA = st.dictionaries(NAMES, st.text(max_size=20), max_size=5)


def config(data: dict[str, str], labels: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "labels": labels},
        "data": data,
    }


def applied(manifest: dict[str, Any], others: dict[str, str]) -> dict[str, Any]:
    """What a server has after our apply and someone else's additions."""
    ours = {
        "f:data": _owned(manifest["data"]),
        "f:metadata": {"f:labels": _owned(manifest["metadata"]["labels"])},
    }
    theirs = {"f:data": _owned(others)} if others else {}
    entries = [
        {"manager": manager, "operation": how, "apiVersion": "v1", "fieldsV1": fields}
        for manager, how, fields in (("rolecall", "Apply", ours), ("alice", "Update", theirs))
    ]
    return {
        **manifest,
        "metadata": {**manifest["metadata"], "managedFields": entries},
        "data": {**others, **manifest["data"]},
    }


def _owned(fields: dict[str, str]) -> dict[str, Any]:
    return {f"f:{name}": {} for name in fields}


@given(DATA, DATA, DATA)
def test_what_was_applied_has_no_change(
    data: dict[str, str], labels: dict[str, str], others: dict[str, str]
) -> None:
    manifest = config(data, labels)
    assert compare(manifest, applied(manifest, others)) == ()


@given(DATA, DATA, DATA)
def test_every_difference_is_told_once(
    before: dict[str, str], after: dict[str, str], others: dict[str, str]
) -> None:
    assume(before and after and not {*before, *after} & set(others))
    changes = compare(config(after, {}), applied(config(before, {}), others))
    differing = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert sorted(change.path for change in changes) == sorted(f"data.{n}" for n in differing)
    assert all(change.owner == "" for change in changes)


@given(DATA, DATA)
def test_drift_names_its_maker(data: dict[str, str], drift: dict[str, str]) -> None:
    manifest = config(data, {})
    live = applied(manifest, drift)
    live["data"] = {**data, **drift}
    ours = live["metadata"]["managedFields"][0]["fieldsV1"]["f:data"]
    for name in drift:
        ours.pop(f"f:{name}", None)
    changes = {change.path: change for change in compare(manifest, live)}
    assert set(changes) == {f"data.{name}" for name in data if name in drift}
    assert {change.owner for change in changes.values()} <= {"alice"}


@given(DATA, DATA)
def test_no_value_of_a_secret_is_ever_shown(before: dict[str, str], after: dict[str, str]) -> None:
    def secret(values: dict[str, str], field: str) -> dict[str, Any]:
        made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
        shown = {f"{name}!": f"<{value}>" for name, value in values.items()}
        if field == "data":
            shown = {k: base64.b64encode(v.encode()).decode() for k, v in shown.items()}
        return {**made, field: shown}

    live, wanted = secret(before, "data"), secret(after, "stringData")
    shown = [*map(repr, compare(wanted, live)), *unified(live, wanted)]
    hidden = [*live["data"].values(), *wanted["stringData"].values()]
    assert not any(value in line for value in hidden for line in shown)


SUFFIXES = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
NUMBERS = st.from_regex(r"-?[0-9]{1,6}(\.[0-9]{1,6})?", fullmatch=True)


@given(NUMBERS, st.sampled_from(SUFFIXES))
def test_quantities_are_what_the_client_library_reads(number: str, suffix: str) -> None:
    found = quantity(number + suffix)
    assert found is not None
    assert abs(float(found) - float(parse_quantity(number + suffix))) <= abs(float(found)) * 1e-9


@given(st.integers(-(10**6), 10**6))
def test_the_same_quantity_is_recognised_in_every_unit(number: int) -> None:
    assert same_quantity(number, f"{number * 1000}m")
    assert same_quantity(f"{number}Ki", number * 1024)
    assert same_quantity(f"{number}e3", f"{number}k")
    assert not same_quantity(number, number + 1)
    assert not same_quantity(number, f"{number}x")


def test_what_is_no_quantity_has_no_value() -> None:
    assert [quantity(text) for text in ("", "x", "1x", "1 Gi", "--1", "Gi")] == [None] * 6


@given(DATA)
def test_an_object_that_is_not_there_gets_every_field(data: dict[str, str]) -> None:
    changes = compare(config(data, {}), None)
    named = {change.path for change in changes}
    assert named >= {f"data.{name}" for name in data}
    assert all(isinstance(change, FieldChange) and change.before is None for change in changes)


_LISTS = ["containers", "env", "ports", "finalizers", "args"]
_MAPS = ["limits", "metadata", "labels", "spec", "selector", "data", "status"]
FIELDS = st.sampled_from([*_LISTS, *_MAPS, "name", "protocol", "containerPort", "cpu", "x.y/z"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "1", "1000m"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=20,
)
TREES = st.recursive(
    st.just({}),
    lambda inner: st.dictionaries(
        FIELDS.map("f:{}".format) | st.sampled_from([".", 'k:{"name":"a"}', 'v:"a"']), inner
    ),
    max_leaves=12,
)
KINDS = st.sampled_from([("apps/v1", "Deployment"), ("v1", "Secret"), ("example.dev/v1", "Thing")])


@given(KINDS, JSON, JSON, TREES, TREES)
def test_whatever_is_written_is_compared_and_the_server_says_what_is_wrong_with_it(
    kind: tuple[str, str], wanted: Any, there: Any, ours: Any, theirs: Any
) -> None:
    version, name = kind
    made = {"apiVersion": version, "kind": name, "metadata": {"name": "x"}}
    entries = [
        {"manager": manager, "operation": "Apply", "apiVersion": version, "fieldsV1": fields}
        for manager, fields in (("rolecall", ours), ("other", theirs))
    ]
    live = {**made, "metadata": {"name": "x", "managedFields": entries}, "spec": there}
    desired = {**made, "spec": wanted, "data": wanted}
    compare(desired, live)
    assert len({change.path for change in compare(desired, None)}) > 0 or not wanted
    assert unified(live, live) == ()
