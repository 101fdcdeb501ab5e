"""What a real API server refuses of an object, and which way out is told."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rolecall.cluster.api import Api
from rolecall.cluster.errors import Conflict, Invalid, NotServed
from rolecall.cluster.objects import MANAGED_BY, MANAGER, Ref, Selection
from rolecall.errors import ConfigError, RolecallError
from tests.rig.kubernetes.cluster import CONTEXT, Cluster

OURS = ((MANAGED_BY, MANAGER),)


@pytest.fixture
def api(cluster: Cluster, namespace: str, tmp_path: Path) -> Api:
    return Api(CONTEXT, str(cluster.kubeconfig), namespace, tmp_path / "cache")


def thing(api: Api, kind: str, version: str = "v1", **fields: Any) -> dict[str, Any]:
    metadata = {"name": "one", "namespace": api.namespace, "labels": dict(OURS)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def deployment(api: Api, app: str = "one", **spec: Any) -> dict[str, Any]:
    pod = {"containers": [{"name": "pod", "image": "none"}]}
    template = {"metadata": {"labels": {"app": app}}, "spec": pod}
    selector = {"matchLabels": {"app": app}}
    return thing(
        api, "Deployment", "apps/v1", spec={"selector": selector, "template": template, **spec}
    )


def claim(api: Api, size: str = "10Gi", mode: str = "ReadWriteOnce") -> dict[str, Any]:
    spec = {
        "accessModes": [mode],
        "storageClassName": "none",
        "resources": {"requests": {"storage": size}},
    }
    return thing(api, "PersistentVolumeClaim", spec=spec)


def bound(api: Api, cluster: Cluster, size: str) -> None:
    """Say of the claim what a volume of that size would make of it."""
    path = f"/api/v1/namespaces/{api.namespace}/persistentvolumeclaims/one"
    now = cluster.call("GET", path)
    now["status"] = {"phase": "Bound", "capacity": {"storage": size}}
    now["spec"]["volumeName"] = "some"
    cluster.call("PUT", path, {**now, "status": {}})
    now["metadata"] = cluster.call("GET", path)["metadata"]
    cluster.call("PUT", f"{path}/status", now)


def told(error: RolecallError) -> str:
    """What a user reads, which has to be one screen of it."""
    assert error.message.startswith(("Deployment/one", "PersistentVolumeClaim/one", "Pod/one", "C"))
    assert error.hint
    said = f"{error.message}\n{error.hint}"
    assert len(said) < 2000
    assert len(said.splitlines()) < 15
    return said


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_selector_cannot_be_changed(api: Api, dry_run: bool) -> None:
    api.apply(deployment(api))
    with pytest.raises(Invalid) as raised:
        api.apply(deployment(api, "two"), dry_run=dry_run, force=True)
    assert raised.value.immutable == ("spec.selector",)
    assert "kubectl delete Deployment/one" in told(raised.value)


def test_the_modes_of_a_claim_cannot_be_changed(api: Api, cluster: Cluster) -> None:
    api.apply(claim(api))
    bound(api, cluster, "10Gi")
    with pytest.raises(Invalid) as raised:
        api.apply(claim(api, mode="ReadWriteMany"))
    assert raised.value.immutable == ("spec",)
    assert "ReadWriteMany" in told(raised.value)
    assert "--delete-data" in raised.value.hint
    assert "kubectl delete" not in raised.value.hint  # which would lose what is in it


def test_a_claim_cannot_shrink(api: Api, cluster: Cluster) -> None:
    api.apply(claim(api))
    bound(api, cluster, "10Gi")
    with pytest.raises(Invalid) as raised:
        api.apply(claim(api, "5Gi"))
    assert "cannot shrink" in told(raised.value)
    assert raised.value.immutable == ("spec.resources.requests.storage",)


def test_a_claim_whose_class_cannot_grow_is_told_so(api: Api, cluster: Cluster) -> None:
    api.apply(claim(api))
    bound(api, cluster, "10Gi")
    with pytest.raises(Invalid, match=r"storageclass .* must support resize") as raised:
        api.apply(claim(api, "20Gi"))
    assert "k8s.volume.size" in told(raised.value)


def test_several_things_that_are_wrong_are_all_told(api: Api) -> None:
    wrong = deployment(api, replicas=-1)
    wrong["spec"]["template"]["spec"]["containers"][0]["name"] = "Not A Name"
    with pytest.raises(Invalid) as raised:
        api.apply(wrong)
    said = told(raised.value)
    assert "spec.replicas" in said
    assert "containers[0].name" in said
    assert not raised.value.immutable


def test_a_type_that_is_wrong_is_told(api: Api) -> None:
    with pytest.raises(Invalid, match="replicas") as raised:
        api.apply(deployment(api, replicas="many"))
    told(raised.value)


def test_a_field_that_is_unknown_deep_inside_is_named(api: Api) -> None:
    wrong = deployment(api)
    wrong["spec"]["template"]["spec"]["containers"][0]["imagePullPolice"] = "Always"
    with pytest.raises(Invalid, match="imagePullPolice") as raised:
        api.apply(wrong)
    told(raised.value)


def test_fields_of_several_others_are_told_with_their_owners(api: Api, cluster: Cluster) -> None:
    def by(manager: str, **data: str) -> None:
        theirs = json.dumps(thing(api, "ConfigMap", data=data))
        arguments = ("apply", "--server-side", f"--field-manager={manager}", "-f", "-")
        cluster.kubectl(*arguments, stdin=theirs)

    by("alice", a="alice", c="agreed")
    by("bob", b="bob", c="agreed")
    with pytest.raises(Conflict) as raised:
        api.apply(thing(api, "ConfigMap", data={"a": "ours", "b": "ours", "c": "ours"}))
    owned = {(one.field, one.manager) for one in raised.value.fields}
    assert owned == {
        ("data.a", "alice"),
        ("data.b", "bob"),
        ("data.c", "alice"),
        ("data.c", "bob"),
    }
    assert "--force-conflicts" in told(raised.value)
    agreed = api.apply(
        thing(api, "ConfigMap", data={"c": "agreed"})
    )  # the same value is no quarrel
    assert agreed["data"] == {"a": "alice", "b": "bob", "c": "agreed"}


def test_what_a_quota_refuses_is_told_in_the_server_s_words(api: Api, cluster: Cluster) -> None:
    quota = thing(api, "ResourceQuota", spec={"hard": {"count/configmaps": "0"}})
    quota["status"] = {"hard": {"count/configmaps": "0"}, "used": {"count/configmaps": "0"}}
    path = f"/api/v1/namespaces/{api.namespace}/resourcequotas"
    made = cluster.call("POST", path, quota)
    cluster.call("PUT", f"{path}/one/status", {**made, "status": quota["status"]})
    deadline = time.monotonic() + 10
    while True:  # the server's own view of quotas comes a moment later
        try:
            api.apply(thing(api, "ConfigMap", data={}), dry_run=True)
        except Invalid as error:
            said = told(error)
            break
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert "exceeded quota: one" in said
    assert "limited: count/configmaps=0" in said
    assert "own rules" in said


def test_what_pod_security_refuses_is_told_in_the_server_s_words(
    cluster: Cluster, tmp_path: Path
) -> None:
    with cluster.namespace(**{"pod-security.kubernetes.io/enforce": "restricted"}) as name:
        api = Api(CONTEXT, str(cluster.kubeconfig), name, tmp_path)
        pod = thing(api, "Pod", spec={"containers": [{"name": "pod", "image": "none"}]})
        with pytest.raises(Invalid) as raised:
            api.apply(pod)
    said = told(raised.value)
    assert 'violates PodSecurity "restricted:latest"' in said
    assert "runAsNonRoot" in said
    assert "own rules" in said


def test_a_name_that_is_none_is_told(api: Api) -> None:
    wrong = thing(api, "ConfigMap")
    wrong["metadata"]["name"] = "Not_A_Name"
    with pytest.raises(Invalid, match=r"metadata\.name") as raised:
        api.apply(wrong)
    told(raised.value)


def test_a_namespace_that_is_on_its_way_out_takes_nothing(cluster: Cluster, tmp_path: Path) -> None:
    with cluster.namespace() as name:
        pass  # without controllers it stays, being deleted
    api = Api(CONTEXT, str(cluster.kubeconfig), name, tmp_path)
    with pytest.raises(ConfigError, match=f"{name} is being deleted|no namespace {name}"):
        api.create(thing(api, "ConfigMap"))


def test_a_refusal_of_a_secret_does_not_show_it(api: Api) -> None:
    secret = thing(api, "Secret", immutable=True, data={"key": "czNjcjN0"}, stringData={})
    api.apply(secret)
    for change in (
        {"data": {"key": "bjN3bjN3"}},
        {"data": {"key": "n3wn3w!"}},
        {"data": "n3wn3w"},
        {"data": {"key": 73573}},
    ):
        with pytest.raises(RolecallError) as raised:
            api.apply({**secret, **change})
        said = f"{raised.value.message}\n{raised.value.hint}"
        assert not [one for one in ("czNjcjN0", "bjN3bjN3", "n3wn3w", "73573") if one in said], said


def test_more_objects_than_one_page_has_are_all_found(api: Api, cluster: Cluster) -> None:
    listed = {
        "apiVersion": "v1",
        "kind": "List",
        "items": [numbered(api, number) for number in range(510)],
    }
    path = f"/api/v1/namespaces/{api.namespace}/configmaps"
    for one in listed["items"]:
        cluster.call("POST", path, one)
    mark = cluster.mark()
    refs = [Ref("v1", "ConfigMap", f"n{number:03}", api.namespace) for number in range(510)]
    selection = Selection("v1", "ConfigMap", api.namespace, OURS)
    odd = Selection("v1", "ConfigMap", api.namespace, (*OURS, ("odd", "1")))
    *found, everything, some = api.read([*refs, selection, odd])
    names = [one["metadata"]["name"] for one in found if isinstance(one, Mapping)]
    assert names == [ref.name for ref in refs]
    assert isinstance(everything, tuple)
    assert isinstance(some, tuple)
    assert (len(everything), len(some)) == (510, 255)
    assert [one.verb for one in cluster.requests(mark)] == ["list", "list"]  # a page each


def numbered(api: Api, number: int) -> dict[str, Any]:
    made = copy.deepcopy(thing(api, "ConfigMap"))
    made["metadata"]["name"] = f"n{number:03}"
    made["metadata"]["labels"]["odd"] = str(number % 2)
    return made


def test_a_selection_without_our_label_sees_what_is_not_ours(api: Api, cluster: Cluster) -> None:
    theirs = thing(api, "ConfigMap")
    theirs["metadata"]["labels"] = {"of": "them"}
    cluster.call("POST", f"/api/v1/namespaces/{api.namespace}/configmaps", theirs)
    for labels, count in (((("of", "them"),), 1), (OURS, 0), ((("of", "us"),), 0)):
        selection = Selection("v1", "ConfigMap", api.namespace, labels)
        ours = Selection("v1", "ConfigMap", api.namespace, OURS)
        found = api.read([selection, ours])
        assert isinstance(found[0], tuple)
        assert (len(found[0]), found[1]) == (count, ())


@pytest.mark.parametrize(
    "kept",
    ["", "{", "7", "[1]", "null", '{"a/v1": 7}', '{"a/v1": {"B": 7}}', '{"a/v1": {"B": ["b"]}}'],
)
def test_a_cache_that_is_broken_is_made_anew(api: Api, tmp_path: Path, kept: str) -> None:
    role = Ref("rbac.authorization.k8s.io/v1", "Role", "one", api.namespace)
    assert api.read([role]) == [None]
    (file,) = (tmp_path / "cache").iterdir()
    file.write_text(kept)
    again = Api(CONTEXT, api._kubeconfig, api.namespace, tmp_path / "cache")
    assert again.read([role]) == [None]
    assert Ref.of(again.apply(thing(again, role.kind, role.api_version, rules=[]))) == role
    assert json.loads(file.read_text())[role.api_version]["Role"] == ["roles", True]


def test_a_cache_that_cannot_be_written_does_no_harm(api: Api, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    assert api.serves("rbac.authorization.k8s.io/v1", "Role")


def test_each_server_has_a_cache_of_its_own(api: Api, cluster: Cluster, tmp_path: Path) -> None:
    api.serves("rbac.authorization.k8s.io/v1", "Role")
    elsewhere = cluster.kubeconfig.read_text().replace("127.0.0.1", "localhost")
    (tmp_path / "elsewhere").write_text(elsewhere)
    other = Api(CONTEXT, str(tmp_path / "elsewhere"), "", tmp_path / "cache")
    other.serves("rbac.authorization.k8s.io/v1", "Role")
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_kind_that_was_removed_takes_nothing_and_has_nothing(
    api: Api, cluster: Cluster, tmp_path: Path
) -> None:
    version = f"{api.namespace}.example.org/v1"
    gone = {version: {"Thing": ["things", True]}}  # as a run before the removal would keep it
    api.serves("rbac.authorization.k8s.io/v1", "Role")
    (file,) = (tmp_path / "cache").iterdir()
    file.write_text(json.dumps(gone))
    again = Api(CONTEXT, api._kubeconfig, api.namespace, tmp_path / "cache")
    ref = Ref(version, "Thing", "one", api.namespace)
    assert again.read([ref, Selection(version, "Thing", api.namespace, OURS)]) == [None, ()]
    assert not again.delete(ref)
    for write in (again.apply, again.create, again.replace):
        with pytest.raises(NotServed, match="Thing"):
            write(thing(again, "Thing", version))
