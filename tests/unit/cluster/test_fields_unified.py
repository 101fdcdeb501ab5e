"""Differences of objects as text."""

from __future__ import annotations

from typing import Any

from rolecall.cluster.unified import unified

CONFIG: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "c", "namespace": "n"},
    "data": {"a.yaml": "x: 1\ny: 2\n"},
}


def test_what_the_server_keeps_for_itself_is_left_out() -> None:
    kept = {"resourceVersion": "7", "generation": 2, "uid": "u", "managedFields": [{}]}
    live = {**CONFIG, "metadata": {**CONFIG["metadata"], **kept}, "status": {"a": 1}}
    assert unified(live, CONFIG) == ()


def test_a_text_of_several_lines_is_compared_line_by_line() -> None:
    after = {**CONFIG, "data": {"a.yaml": "x: 1\ny: 3\n"}}
    lines = unified(CONFIG, after)
    assert lines[:2] == ("--- live", "+++ desired")
    assert "-    y: 2" in lines
    assert "+    y: 3" in lines
    assert not any("x: 1" in line for line in lines if line[0] in "+-")


def test_what_is_not_there_is_all_new() -> None:
    lines = unified(None, CONFIG)
    assert all(line.startswith("+") for line in lines[3:])
    assert "+kind: ConfigMap" in lines
    assert unified(CONFIG, None)[3].startswith("-")


def test_secrets_are_digests_and_plain_values_become_data() -> None:
    made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    before = {**made, "data": {"t": "aGVsbG8=", "u": "b2xk"}}
    after = {**made, "stringData": {"t": "hello", "u": "new words"}}
    lines = unified(before, after)
    assert not any(word in line for line in lines for word in ("hello", "aGVs", "b2xk", "words"))
    changed = [line for line in lines[2:] if line[0] in "+-"]
    assert [line.split(":")[0] for line in changed] == ["-  u", "+  u"]


def test_a_manifest_that_kubectl_keeps_of_a_secret_is_hidden() -> None:
    noted = {"kubectl.kubernetes.io/last-applied-configuration": '{"data":{"t":"aGVsbG8="}}'}
    made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "annotations": noted}}
    assert not any("aGVs" in line for line in unified(None, made))


def test_an_object_of_a_list_that_does_not_say_its_kind_is_hidden_too() -> None:
    made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"t": "YQ=="}}
    listed = {"metadata": {"name": "s"}, "data": {"t": "aGVsbG8="}}
    assert not any(word in line for line in unified(listed, made) for word in ("aGVs", "YQ"))
