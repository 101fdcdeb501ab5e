"""What goes over the wire to a real API server, and what its refusals are told as."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from rolecall.cluster import api as module
from rolecall.cluster.api import Api, Right
from rolecall.cluster.errors import Conflict, Forbidden, Invalid, NotServed
from rolecall.cluster.objects import MANAGED_BY, MANAGER, Ref, Selection
from rolecall.errors import ConfigError, RolecallError, UnreachableError
from tests.rig.kubernetes.cluster import CONTEXT, Cluster

OURS = ((MANAGED_BY, MANAGER),)


@pytest.fixture
def api(cluster: Cluster, namespace: str, tmp_path: Path) -> Api:
    return Api(CONTEXT, str(cluster.kubeconfig), namespace, tmp_path / "cache")


def config(namespace: str, name: str = "one", **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": dict(OURS)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data or {}}


def changed(cluster: Cluster, folder: Path, part: str, **fields: Any) -> str:
    """The rig's kubeconfig with some fields of its cluster or user replaced."""
    written = yaml.safe_load(cluster.kubeconfig.read_text())
    if part == "user":
        written["users"][0]["user"] = fields
    else:
        written["clusters"][0]["cluster"] |= fields
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(written))
    return str(path)


def test_questions_are_answered_in_their_order(api: Api) -> None:
    for name in ("one", "two"):
        api.apply(config(api.namespace, name, a=name))
    refs = [Ref("v1", "ConfigMap", name, api.namespace) for name in ("two", "none", "one")]
    found: list[Any] = list(
        api.read([*refs, Selection("v1", "ConfigMap", api.namespace, OURS), refs[0]])
    )
    assert [thing and thing["data"]["a"] for thing in found[:3]] == ["two", None, "one"]
    assert sorted(thing["data"]["a"] for thing in found[3]) == ["one", "two"]
    assert found[4] == found[0]


def test_many_objects_of_a_kind_cost_one_request(api: Api, cluster: Cluster) -> None:
    names = [f"n{number}" for number in range(20)]
    for name in names:
        api.apply(config(api.namespace, name))
    mark = cluster.mark()
    found = api.read([Ref("v1", "ConfigMap", name, api.namespace) for name in names])
    assert all(found)
    assert [one.verb for one in cluster.requests(mark)] == ["list"]


def test_an_object_without_our_label_is_found_by_its_name(api: Api) -> None:
    for name in ("one", "two", "three"):
        api.apply(config(api.namespace, name))
    bare = config(api.namespace, "bare")
    del bare["metadata"]["labels"]
    api.apply(bare)
    names = ("one", "two", "three", "bare")
    assert all(api.read([Ref("v1", "ConfigMap", name, api.namespace) for name in names]))


def test_a_list_of_several_pages_is_whole(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        api.apply(config(api.namespace, f"n{number}"))
    monkeypatch.setattr(module, "PAGE", 3)
    found: Any = api.read([Selection("v1", "ConfigMap", api.namespace, OURS)])[0]
    assert [thing["metadata"]["name"] for thing in found] == [f"n{n}" for n in range(7)]


def test_a_kind_that_is_not_served_has_no_objects_and_takes_none(api: Api) -> None:
    version, kind = "monitoring.coreos.com/v1", "ServiceMonitor"
    ref = Ref(version, kind, "one", api.namespace)
    assert api.read([ref, Selection(version, kind, api.namespace)]) == [None, ()]
    assert not api.serves(version, kind)
    assert not api.delete(ref)
    thing = {**config(api.namespace), "apiVersion": version, "kind": kind}
    with pytest.raises(NotServed, match="ServiceMonitor") as raised:
        api.apply(thing)
    assert "Prometheus operator" in raised.value.hint


@pytest.mark.parametrize("kept", ["nothing of it", "an answer that is not true"])
def test_a_kind_that_came_later_is_known_at_once(
    cluster: Cluster, namespace: str, tmp_path: Path, kept: str
) -> None:
    group = f"{namespace}.example.org"
    api = Api(CONTEXT, str(cluster.kubeconfig), namespace, tmp_path)
    if kept != "nothing of it":
        assert not api.serves(f"{group}/v1", "Thing")
        api.serves("rbac.authorization.k8s.io/v1", "Role")
        (file,) = tmp_path.glob("*.json")
        file.write_text(json.dumps({**json.loads(file.read_text()), f"{group}/v1": {}}))
        api = Api(CONTEXT, str(cluster.kubeconfig), namespace, tmp_path)
    names = {"plural": "things", "kind": "Thing"}
    schema = {"openAPIV3Schema": {"type": "object"}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    made = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(made))
    try:
        crd = f"crd/things.{group}"
        cluster.kubectl("wait", "--for=condition=Established", crd, "--timeout=30s")
        cluster.kubectl("-n", namespace, "get", f"things.{group}")  # in the discovery, too
        thing = {**config(namespace), "apiVersion": f"{group}/v1", "kind": "Thing"}
        del thing["data"]
        api.apply(thing)
        assert api.read([Ref.of(thing)])[0]
    finally:
        cluster.kubectl("delete", "crd", f"things.{group}")
    again = Api(CONTEXT, str(cluster.kubeconfig), namespace, tmp_path)
    assert again.read([Ref.of(thing)]) == [None]


def test_a_conflict_names_the_fields_and_who_set_them(api: Api, cluster: Cluster) -> None:
    theirs = json.dumps(config(api.namespace, a="theirs"))
    arguments = ("apply", "--server-side", "--field-manager=them", "-f", "-")
    cluster.kubectl(*arguments, stdin=theirs)
    with pytest.raises(Conflict) as raised:
        api.apply(config(api.namespace, a="ours"))
    assert [(one.field, one.manager) for one in raised.value.fields] == [("data.a", "them")]
    assert api.apply(config(api.namespace, a="ours"), force=True)["data"] == {"a": "ours"}


def test_a_dry_run_answers_and_writes_nothing(api: Api) -> None:
    thing = config(api.namespace, a="1")
    assert api.apply(thing, dry_run=True)["data"] == {"a": "1"}
    assert api.read([Ref.of(thing)]) == [None]


def test_a_field_that_the_kind_does_not_have_is_refused(api: Api) -> None:
    with pytest.raises(Invalid, match="dta"):
        api.apply({**config(api.namespace), "dta": {}})


def test_what_cannot_be_changed_is_named(api: Api) -> None:
    api.apply({**config(api.namespace, a="1"), "immutable": True})
    with pytest.raises(Invalid) as raised:
        api.apply({**config(api.namespace, a="2"), "immutable": True})
    assert raised.value.immutable == ("data",)
    assert "kubectl delete ConfigMap/one" in raised.value.hint


def test_a_namespace_that_is_not_there_is_told_with_how_to_make_it(api: Api) -> None:
    with pytest.raises(ConfigError, match="no namespace nowhere") as raised:
        api.apply(config("nowhere"))
    assert "kubectl create namespace nowhere" in raised.value.hint


def test_an_object_is_made_once_replaced_only_unmoved_and_deleted_once(api: Api) -> None:
    made = api.create(config(api.namespace, a="1"))
    ref = Ref.of(made)
    with pytest.raises(Conflict):
        api.create(config(api.namespace, a="1"))
    api.merge(ref, {"data": {"b": "2"}})
    with pytest.raises(Conflict):
        api.replace({**made, "data": {}})
    now: Any = api.read([ref])[0]
    assert now["data"] == {"a": "1", "b": "2"}
    with pytest.raises(Conflict):
        api.delete(ref, uid="00000000-0000-0000-0000-000000000000")
    assert api.delete(ref, uid=made["metadata"]["uid"])
    assert not api.delete(ref)


def test_missing_rights_are_told_and_a_refusal_names_what_it_refuses(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
    viewer = cluster.user("viewer", rules=rules, namespace=namespace)
    api = Api("viewer", str(viewer), namespace, tmp_path)
    ref = Ref("v1", "ConfigMap", "one", namespace)
    rights = [Right.on(verb, ref) for verb in ("get", "patch", "list", "delete")]
    assert api.missing(rights) == [rights[1], rights[3]]
    with pytest.raises(Forbidden) as raised:
        api.apply(config(namespace))
    assert all(word in str(raised.value) for word in ("patch", "configmaps", namespace))


def test_a_context_that_is_not_there_is_told_with_those_that_are(
    cluster: Cluster, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="no context admim") as raised:
        Api("admim", str(cluster.kubeconfig), "", tmp_path).version()
    assert f"did you mean {CONTEXT}?" in raised.value.hint


@pytest.mark.parametrize("text", [None, "", "[", "clusters: 7"])
def test_a_file_that_is_no_kubeconfig_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=str(path)):
        Api(CONTEXT, str(path), "", tmp_path).version()


def test_credentials_that_are_refused_are_not_repeated(cluster: Cluster, tmp_path: Path) -> None:
    path = changed(cluster, tmp_path, "user", token="not-a-token-of-anybody")
    with pytest.raises(RolecallError, match="credentials are refused") as raised:
        Api(CONTEXT, path, "", tmp_path).read([Ref("v1", "ConfigMap", "one", "default")])
    assert "log in" in raised.value.hint
    assert "not-a-token" not in str(raised.value) + raised.value.hint


def test_a_program_for_credentials_that_is_missing_is_told(
    cluster: Cluster, tmp_path: Path
) -> None:
    version = "client.authentication.k8s.io/v1"
    plugin = {"apiVersion": version, "command": "no-such-login", "interactiveMode": "Never"}
    path = changed(cluster, tmp_path, "user", exec=plugin)
    with pytest.raises(RolecallError, match="no-such-login"):
        Api(CONTEXT, path, "", tmp_path).read([Ref("v1", "ConfigMap", "one", "default")])


def test_a_program_for_credentials_is_used(cluster: Cluster, tmp_path: Path) -> None:
    said = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "not-a-token-of-anybody"},
    }
    plugin = {
        "apiVersion": said["apiVersion"],
        "command": "printf",
        "args": ["%s", json.dumps(said)],
        "interactiveMode": "Never",
    }
    path = changed(cluster, tmp_path, "user", exec=plugin)
    with pytest.raises(RolecallError, match="credentials are refused"):
        Api(CONTEXT, path, "", tmp_path).read([Ref("v1", "ConfigMap", "one", "default")])


def test_another_authority_is_told(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rolecall.cluster.wire.PAUSES", ())
    written = yaml.safe_load(cluster.kubeconfig.read_text())
    for name in ("certificate-authority", "certificate-authority-data"):
        written["clusters"][0]["cluster"].pop(name, None)
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(written))
    with pytest.raises(UnreachableError, match="authority has not signed"):
        Api(CONTEXT, str(path), "", tmp_path).version()


def test_a_server_that_is_not_there_is_told(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rolecall.cluster.wire.PAUSES", ())
    path = changed(cluster, tmp_path, "cluster", server="https://127.0.0.1:1")
    with pytest.raises(UnreachableError, match="refuses connections") as raised:
        Api(CONTEXT, path, "", tmp_path).version()
    assert CONTEXT in str(raised.value)
    assert "https://127.0.0.1:1" in str(raised.value)
