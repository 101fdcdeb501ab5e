"""What the comparison says is what a real API server does with a server-side apply."""

from __future__ import annotations

import copy
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import DynamicApiError, ResourceNotFoundError

from rolecall.cluster.fields import FieldChange, compare, stamped
from rolecall.cluster.shapes import BUILTIN, Shapes
from rolecall.cluster.unified import unified
from tests.integration.cluster import manifests
from tests.integration.cluster.manifests import Manifest, edited
from tests.rig.kubernetes.cluster import CONTEXT, Cluster


@dataclass(frozen=True)
class Server:
    """A namespace of a real API server, spoken to as several managers."""

    client: DynamicClient
    namespace: str

    def _of(self, manifest: Manifest) -> Any:
        return self.client.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])

    def apply(
        self, manifest: Manifest, manager: str = "rolecall", *, dry_run: bool = False
    ) -> Manifest:
        query = {"dry_run": "All"} if dry_run else {}
        applied: Manifest = self.client.server_side_apply(
            self._of(manifest),
            body=manifest,
            name=manifest["metadata"]["name"],
            namespace=self.namespace,
            field_manager=manager,
            force_conflicts=True,
            **query,
        ).to_dict()
        return applied

    def read(self, manifest: Manifest) -> Manifest:
        found: Manifest = (
            self._of(manifest)
            .get(name=manifest["metadata"]["name"], namespace=self.namespace)
            .to_dict()
        )
        return found

    def edit(self, manifest: Manifest, patch: Any, manager: str, part: str = "") -> None:
        """Somebody's merge patch, of the object or of a subresource."""
        kind = self._of(manifest)
        (kind.subresources[part] if part else kind).patch(
            name=manifest["metadata"]["name"],
            namespace=self.namespace,
            body=patch,
            content_type="application/merge-patch+json",
            field_manager=manager,
        )

    def create(self, manifest: Manifest, manager: str) -> None:
        self._of(manifest).create(body=manifest, namespace=self.namespace, field_manager=manager)

    def changes(self, manifest: Manifest) -> tuple[FieldChange, ...]:
        return compare(manifest, self.read(manifest))


@pytest.fixture(scope="module")
def server(cluster: Cluster) -> Iterator[Server]:
    from kubernetes.config import new_client_from_config

    client = DynamicClient(new_client_from_config(str(cluster.kubeconfig), CONTEXT))
    with cluster.namespace() as namespace:
        one = Server(client, namespace)
        until = time.monotonic() + 30
        while not _served(one):
            assert time.monotonic() < until, "the definition does not get established"
            time.sleep(0.1)
        yield one
        client.resources.get(
            api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition"
        ).delete(name=manifests.DEFINITION["metadata"]["name"])


def _served(server: Server) -> bool:
    try:
        definition = server.apply(manifests.DEFINITION)
        if "deletionTimestamp" in definition["metadata"]:  # of an earlier run
            return False
        server.client.resources.invalidate_cache()
        server.apply(manifests.THING, dry_run=True)
    except (DynamicApiError, ResourceNotFoundError):
        return False
    return True


def named(manifest: Manifest, name: str) -> Manifest:
    made = copy.deepcopy(manifest)
    made["metadata"]["name"] = name
    return made


def visible(thing: Manifest) -> str:
    """What a reader can see of an object that one of our applies may write.

    The server may move the version and the generation where nothing else moves: a default of the
    reading side is stored by the first write after a creation (``status.phase`` of a claim, the
    labels of a Job), and an empty list is written again by every apply. What controllers write
    meanwhile is left out too.
    """
    metadata = {
        name: value
        for name, value in thing["metadata"].items()
        if name not in ("resourceVersion", "generation", "managedFields", "annotations")
    }
    notes = thing["metadata"].get("annotations", {})
    metadata["annotations"] = {
        name: note for name, note in notes.items() if not name.startswith("deployment.kubernetes")
    }
    ours = [
        (entry["apiVersion"], entry["fieldsV1"])
        for entry in thing["metadata"].get("managedFields", ())
        if entry["manager"] == "rolecall" and entry["operation"] == "Apply"
    ]
    return json.dumps({**thing, "status": {}, "metadata": [metadata, ours]}, sort_keys=True)


EVERY = [*manifests.KINDS, manifests.THING]
KINDS = pytest.mark.parametrize("manifest", EVERY, ids=lambda one: one["kind"])


@KINDS
def test_what_has_just_been_applied_has_no_change(server: Server, manifest: Manifest) -> None:
    manifest = named(stamped(manifest), "fresh")
    applied = server.apply(manifest)
    assert compare(manifest, applied) == ()
    assert server.changes(manifest) == ()


@KINDS
def test_no_change_means_that_an_apply_moves_no_version(server: Server, manifest: Manifest) -> None:
    manifest = named(stamped(manifest), "still")
    server.apply(manifest)
    before = server.apply(manifest)["metadata"]["resourceVersion"]
    for _ in range(20):  # controllers write too, until they have done their part
        assert server.changes(manifest) == ()
        after = server.apply(manifest)["metadata"]["resourceVersion"]
        if after == before:
            return
        before = after
        time.sleep(0.2)
    pytest.fail("every apply writes")


@pytest.mark.parametrize("seed", range(2))
@KINDS
def test_an_apply_writes_exactly_where_there_are_changes(
    server: Server, manifest: Manifest, seed: int
) -> None:
    choose = random.Random(f"{manifest['kind']} {seed}")
    base = named(manifest, f"edited-{seed}")
    current = stamped(base)
    server.apply(current)
    server.apply(current)
    tried = 0
    for _ in range(25):
        if choose.random() < 0.3:
            _disturb(server, current, choose)
            wanted = current
        else:
            wanted = stamped(
                edited(choose.choice([base, current]), choose)
                if choose.random() < 0.7
                else choose.choice([base, current])
            )
        live = server.read(base)
        try:
            rehearsed = server.apply(wanted, dry_run=True)
        except DynamicApiError:
            continue  # no manifest
        tried += 1
        changes = compare(wanted, live)
        applied = server.apply(wanted)
        assert (visible(applied) != visible(live)) == bool(changes), (wanted, live, changes)
        assert (visible(rehearsed) != visible(live)) == bool(changes)
        assert compare(wanted, applied) == ()
        current = wanted
    assert tried


def _disturb(server: Server, current: Manifest, choose: random.Random) -> None:
    """Somebody else edits or applies the object, if the server lets them."""
    other = edited(current, choose)
    body = {name: value for name, value in other.items() if name not in ("kind", "apiVersion")}
    body["metadata"] = {name: value for name, value in other["metadata"].items() if name != "name"}
    try:
        if choose.random() < 0.3:
            server.apply(other, "other")
        else:
            server.edit(current, body, choose.choice(["alice", "bob"]))
    except DynamicApiError:
        return


def test_a_scaled_deployment_names_who_scaled_it(server: Server) -> None:
    manifest = named(manifests.DEPLOYMENT, "scaled")
    server.apply(manifest)
    server.edit(manifest, {"spec": {"replicas": 5}}, "kubectl", "scale")
    assert server.changes(manifest) == (FieldChange("spec.replicas", "5", "2", "kubectl"),)


def test_an_edit_that_is_taken_back_leaves_the_owner_to_be_changed(server: Server) -> None:
    manifest = named(manifests.DEPLOYMENT, "back")
    server.apply(manifest)
    for replicas in (5, 2):
        server.edit(manifest, {"spec": {"replicas": replicas}}, "kubectl", "scale")
    assert server.changes(manifest) == (FieldChange("spec.replicas", "2", "2", "kubectl"),)


def test_an_edited_item_of_a_list_is_told_by_its_keys(server: Server) -> None:
    manifest = named(manifests.DEPLOYMENT, "items")
    server.apply(manifest)
    other = copy.deepcopy(manifest)
    container = other["spec"]["template"]["spec"]["containers"][0]
    container["image"] = "server:2"
    container["env"][0]["value"] = "9"
    container["ports"][1]["containerPort"] = 54
    server.apply(other, "other")
    at = "spec.template.spec.containers[name=triton]"
    changes = server.changes(manifest)
    assert {change.owner for change in changes} == {"other"}
    assert {
        FieldChange(f"{at}.image", "server:2", "server:1", "other"),
        FieldChange(f"{at}.env[name=A].value", "9", "1", "other"),
    } <= set(changes)


def test_an_object_that_kubectl_made_is_to_be_taken_over(server: Server) -> None:
    manifest = named(manifests.SERVICE, "taken")
    server.create(manifest, "kubectl-create")
    changes = server.changes(manifest)
    assert {change.owner for change in changes} == {"kubectl-create"}
    assert all(change.before == change.after for change in changes)
    assert {change.path for change in changes} == {
        change.path for change in compare(manifest, None)
    }


def test_what_the_manifest_no_longer_has_goes(server: Server) -> None:
    manifest = named(manifests.DEPLOYMENT, "less")
    server.apply(manifest)
    less = copy.deepcopy(manifest)
    container = less["spec"]["template"]["spec"]["containers"][0]
    del container["env"][0], less["metadata"]["labels"]["app"]
    at = "spec.template.spec.containers[name=triton].env[name=A]"
    assert server.changes(less) == (
        FieldChange("metadata.labels.app", "llm", None, ""),
        FieldChange(at, '{"name": "A", "value": "1"}', None, ""),
    )


def test_what_someone_else_wants_too_stays(server: Server) -> None:
    manifest = named(manifests.CONFIG, "shared")
    del manifest["binaryData"]
    server.apply(manifest)
    server.apply(manifest, "other")
    less = copy.deepcopy(manifest)
    del less["data"]["empty"]
    assert server.changes(less) == (FieldChange("data.empty", "", "", "other"),)
    assert server.apply(less)["data"]["empty"] == ""
    assert server.changes(less) == ()


def test_fields_of_others_are_left_alone(server: Server) -> None:
    manifest = named(manifests.DEPLOYMENT, "theirs")
    server.apply(manifest)
    server.edit(
        manifest,
        {"metadata": {"annotations": {"theirs": "1"}}, "spec": {"minReadySeconds": 3}},
        "alice",
    )
    assert server.changes(manifest) == ()


def test_a_secret_changed_behind_its_plain_values_is_seen(server: Server) -> None:
    manifest = named(manifests.SECRET, "drifted")
    server.apply(manifest)
    server.edit(manifest, {"data": {"u": "Y2xvc2Vk"}}, "alice")
    (change,) = server.changes(manifest)
    assert (change.path, change.owner) == ("stringData.u", "alice")
    assert change.before != change.after
    shown = (*map(str, server.changes(manifest)), *unified(server.read(manifest), manifest))
    assert not any(word in line for line in shown for word in ("sesame", "closed", "Y2xvc2Vk"))


def test_a_rewritten_custom_resource_is_what_its_stamp_says(server: Server) -> None:
    plain = named(manifests.THING, "rewritten")
    server.apply(plain)
    assert [change.path for change in server.changes(plain)] == ["spec.plain"]
    manifest = stamped(plain)
    server.apply(manifest)
    assert server.changes(manifest) == ()
    server.edit(manifest, {"spec": {"plain": [{"name": "z", "mode": "q"}]}}, "alice")
    (change,) = server.changes(manifest)
    assert (change.path, change.owner) == ("spec.plain", "alice")


def test_another_version_of_the_api_is_a_change(server: Server) -> None:
    new = named(manifests.SCALER, "versions")
    old = {**new, "apiVersion": "autoscaling/v1", "spec": {**new["spec"]}}
    del old["spec"]["metrics"], old["spec"]["behavior"]
    server.apply(old)
    del new["spec"]["metrics"], new["spec"]["behavior"]
    change = FieldChange("apiVersion", "autoscaling/v1", "autoscaling/v2", "")
    assert change in server.changes(new)
    server.apply(new)
    assert server.changes(new) == ()


def test_the_shapes_of_the_servers_own_kinds_are_those_of_its_document(cluster: Cluster) -> None:
    types = cluster.call("GET", "/openapi/v2")["definitions"]
    tried = 0
    for name, one in types.items():
        for kind in one.get("x-kubernetes-group-version-kind", ()):
            group, version = kind["group"], kind["version"]
            if kind["kind"] in ("Binding", "ComponentStatus"):
                continue  # neither can be applied
            if group in BUILTIN and "metadata" in one.get("properties", {}):
                shapes = Shapes(f"{group}/{version}".lstrip("/"), kind["kind"])
                tried += _check(types, name, shapes, ())
    assert tried > 1000


def _check(types: Manifest, name: str, shapes: Shapes, path: tuple[str, ...]) -> int:
    """Compare the tables with the server's document, as far as the server merges."""
    tried = 0
    for field, said in types[name].get("properties", {}).items():
        at = (*path, field)
        items = said.get("items", {})
        inner = (said if "$ref" in said else items).get("$ref", "").removeprefix("#/definitions/")
        if at[0] in ("status", "apiVersion", "kind") or at == ("metadata", "managedFields"):
            continue
        tried += 1
        if said.get("type") == "array":
            keys = tuple(sorted(said.get("x-kubernetes-list-map-keys", ())))
            assert tuple(sorted(shapes.keys(at, []))) == keys, (shapes, at)
            assert shapes.is_set(at) == (said.get("x-kubernetes-list-type") == "set"), (shapes, at)
            if keys:
                whole = types[inner].get("x-kubernetes-map-type") == "atomic"
                assert shapes.whole_item(at) == whole, (shapes, at)
                tried += 0 if whole else _check(types, inner, shapes, at)
        elif inner and types[inner].get("type") == "object":
            shape = said.get("x-kubernetes-map-type", types[inner].get("x-kubernetes-map-type"))
            atomic = shape == "atomic" or inner.endswith("RawExtension")
            assert shapes.atomic(at) == atomic, (shapes, at)
            tried += 0 if atomic else _check(types, inner, shapes, at)
        elif said.get("type") == "object":
            atomic = said.get("x-kubernetes-map-type") == "atomic"
            assert shapes.atomic(at) == atomic, (shapes, at)
    return tried
