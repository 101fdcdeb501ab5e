"""What an apply would write, as one read of the live object tells it."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest

from rolecall.cluster.fields import STAMP, FieldChange, compare, stamped

Manifest = dict[str, Any]

DEPLOYMENT: Manifest = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "llm", "labels": {"app.kubernetes.io/name": "llm"}},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "llm"}},
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "triton",
                        "image": "server:1",
                        "args": ["serve"],
                        "ports": [{"containerPort": 8000}],
                        "resources": {"limits": {"cpu": "4000m"}},
                    }
                ],
                "volumes": [{"name": "tmp", "emptyDir": {}}],
            }
        },
    },
}

CONTAINER = {
    ".": {},
    "f:name": {},
    "f:image": {},
    "f:args": {},
    "f:ports": {'k:{"containerPort":8000,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
    "f:resources": {"f:limits": {"f:cpu": {}}},
}
OURS: Manifest = {
    "f:metadata": {"f:labels": {"f:app.kubernetes.io/name": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:selector": {},
        "f:template": {
            "f:spec": {
                "f:containers": {'k:{"name":"triton"}': CONTAINER},
                "f:volumes": {'k:{"name":"tmp"}': {".": {}, "f:name": {}, "f:emptyDir": {}}},
            }
        },
    },
}
AT = "spec.template.spec.containers[name=triton]"


def entry(
    fields: Manifest, manager: str = "rolecall", operation: str = "Apply", **rest: str
) -> Manifest:
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": "apps/v1",
        "fieldsV1": fields,
        **rest,
    }


def live(*others: Manifest, ours: Manifest | None = OURS) -> Manifest:
    """The Deployment as a server has it after our apply."""
    made = copy.deepcopy(DEPLOYMENT)
    entries = [entry(copy.deepcopy(ours))] if ours is not None else []
    made["metadata"] |= {"uid": "u", "resourceVersion": "7", "managedFields": [*entries, *others]}
    made["spec"]["progressDeadlineSeconds"] = 600
    found = container(made)
    found["ports"][0]["protocol"] = "TCP"
    found["resources"]["limits"]["cpu"] = "4"
    found["imagePullPolicy"] = "IfNotPresent"
    return made


def container(thing: Manifest) -> Manifest:
    found: Manifest = thing["spec"]["template"]["spec"]["containers"][0]
    return found


def desired() -> Manifest:
    return copy.deepcopy(DEPLOYMENT)


def test_defaults_and_rewritten_quantities_are_no_change() -> None:
    assert compare(DEPLOYMENT, live()) == ()


def test_an_object_that_is_not_there_has_every_field_to_write() -> None:
    changes = {change.path: change.after for change in compare(DEPLOYMENT, None)}
    assert changes == {
        "metadata.labels[app.kubernetes.io/name]": "llm",
        "spec.replicas": "2",
        "spec.selector": '{"matchLabels": {"app": "llm"}}',
        f"{AT}.image": "server:1",
        f"{AT}.args": '["serve"]',
        f"{AT}.ports[containerPort=8000,protocol=TCP]": '{"containerPort": 8000}',
        f"{AT}.resources.limits.cpu": "4000m",
        "spec.template.spec.volumes[name=tmp].emptyDir": "{}",
    }


def test_a_new_value_of_ours_has_no_other_owner() -> None:
    wanted = desired()
    container(wanted)["image"] = "server:2"
    assert compare(wanted, live()) == (FieldChange(f"{AT}.image", "server:1", "server:2", ""),)


def test_drift_is_told_with_who_made_it() -> None:
    drifted = live(entry({"f:spec": {"f:replicas": {}}}, "hpa", "Update", subresource="scale"))
    del drifted["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:replicas"]
    drifted["spec"]["replicas"] = 5
    assert compare(DEPLOYMENT, drifted) == (FieldChange("spec.replicas", "5", "2", "hpa"),)


def test_the_latest_of_several_owners_comes_first() -> None:
    both = live(
        entry({"f:spec": {"f:replicas": {}}}, "early", time="2026-01-01T00:00:00Z"),
        entry({"f:spec": {"f:replicas": {}}}, "late", time="2026-02-01T00:00:00Z"),
    )
    (change,) = compare({**desired(), "spec": {**desired()["spec"], "replicas": 3}}, both)
    assert change.owner == "late, early"


def test_a_value_that_nobody_owns_yet_is_to_be_owned() -> None:
    wanted = desired()
    container(wanted)["imagePullPolicy"] = "IfNotPresent"
    change = FieldChange(f"{AT}.imagePullPolicy", "IfNotPresent", "IfNotPresent", "")
    assert compare(wanted, live()) == (change,)


def test_a_key_that_was_filled_in_is_to_be_owned_once_it_is_written() -> None:
    wanted = desired()
    container(wanted)["ports"][0]["protocol"] = "TCP"
    at = f"{AT}.ports[containerPort=8000,protocol=TCP].protocol"
    assert compare(wanted, live()) == (FieldChange(at, "TCP", "TCP", ""),)


def test_what_is_no_longer_wanted_goes() -> None:
    wanted = desired()
    del wanted["spec"]["template"]["spec"]["volumes"], container(wanted)["args"]
    at = "spec.template.spec.volumes"
    assert compare(wanted, live()) == (
        FieldChange(f"{AT}.args", '["serve"]', None, ""),
        FieldChange(at, '[{"emptyDir": {}, "name": "tmp"}]', None, ""),
    )


def test_what_someone_else_owns_too_stays() -> None:
    wanted = desired()
    del wanted["spec"]["replicas"]
    both = live(entry({"f:spec": {"f:replicas": {}}}, "other"))
    assert compare(wanted, both) == (FieldChange("spec.replicas", "2", "2", "other"),)


def test_another_order_of_a_list_with_keys_is_a_change() -> None:
    one = {"name": "B", "value": "2"}
    two = {"name": "A", "value": "1"}
    wanted, there = desired(), live()
    container(wanted)["env"] = [one, two]
    container(there)["env"] = [two, one]
    owned = {f'k:{{"name":"{name}"}}': {".": {}, "f:name": {}, "f:value": {}} for name in "AB"}
    fields = there["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:template"]
    fields["f:spec"]["f:containers"]['k:{"name":"triton"}']["f:env"] = owned
    (change,) = compare(wanted, there)
    assert (change.path, change.before) == (f"{AT}.env", '["[name=A]", "[name=B]"]')


def test_an_object_without_owners_is_taken_over_field_by_field() -> None:
    changes = compare(DEPLOYMENT, live(ours=None))
    assert {change.path for change in changes} == {
        change.path for change in compare(DEPLOYMENT, None)
    }


def test_a_status_is_not_ours_to_write() -> None:
    assert compare({**desired(), "status": {"replicas": 9}}, live()) == ()


def test_a_manager_of_another_name_is_somebody_else() -> None:
    changes = compare(DEPLOYMENT, live(), "another")
    assert {change.owner for change in changes} == {"rolecall"}


def test_long_texts_are_told_by_their_digest() -> None:
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c"},
        "data": {"a.yaml": "x: 1\ny: 2\n", "b": "z" * 500},
    }
    told = {change.path: change.after or "" for change in compare(config, None)}
    assert told["data[a.yaml]"].startswith("2 lines, sha256:")
    assert told["data.b"].startswith("500 characters, sha256:")


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        ({"data": {"t": "aGVsbG8="}}, {"t": "aGVs\nbG8="}),
        ({"stringData": {"t": "hello"}}, {"t": "aGVsbG8="}),
    ],
)
def test_values_of_a_secret_are_compared_decoded(wanted: Manifest, there: Manifest) -> None:
    (where,) = wanted
    assert compare(secret(**wanted), stored(there, {f"f:{where}": {"f:t": {}}})) == ()


def test_values_of_a_secret_are_told_by_digests() -> None:
    there = stored({"t": "b3RoZXI="}, {"f:stringData": {"f:t": {}}})
    (change,) = compare(secret(stringData={"t": "hello"}), there)
    assert change.path == "stringData.t"
    assert change.before == "sha256:d9298a10d1b0"
    assert change.after == "sha256:2cf24dba5fb0"


def secret(**rest: Any) -> Manifest:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, **rest}


def stored(data: Manifest, fields: Manifest) -> Manifest:
    made = secret(data=data, type="Opaque")
    made["metadata"]["managedFields"] = [{**entry(fields), "apiVersion": "v1"}]
    return made


def thing(**spec: Any) -> Manifest:
    return {
        "apiVersion": "example.dev/v1",
        "kind": "Thing",
        "metadata": {"name": "t"},
        "spec": spec,
    }


def custom(fields: Manifest, **spec: Any) -> Manifest:
    made = thing(**spec)
    made["metadata"]["managedFields"] = [{**entry(fields), "apiVersion": "example.dev/v1"}]
    return made


def test_a_custom_resource_keeps_quantities_as_they_were_written() -> None:
    there = custom({"f:spec": {"f:cpu": {}}}, cpu="1000m")
    assert compare(thing(cpu="1000m"), there) == ()
    assert compare(thing(cpu="1"), there) == (FieldChange("spec.cpu", "1000m", "1", ""),)


def test_an_atomic_list_of_a_custom_resource_shows_what_differs_in_it() -> None:
    image = {"name": "c", "image": "i"}
    there = custom({"f:spec": {"f:containers": {}}}, containers=[{**image, "image": "old"}])
    at = "spec.containers[name=c].image"
    assert compare(thing(containers=[image]), there) == (FieldChange(at, "old", "i", ""),)


def test_what_leaves_an_atomic_list_of_a_custom_resource_is_a_change() -> None:
    there = custom({"f:spec": {"f:env": {}}}, env=[{"name": "A", "value": "1"}, {"name": "B"}])
    assert compare(thing(env=[{"name": "A", "value": "1"}]), there) == (
        FieldChange("spec.env[name=B]", '{"name": "B"}', None, ""),
    )


def test_ownership_tells_the_shape_of_a_list_of_a_custom_resource() -> None:
    owned = {'k:{"id":"x"}': {".": {}, "f:id": {}, "f:size": {}}}
    theirs = {"id": "y", "size": 2}
    there = custom({"f:spec": {"f:parts": owned}}, parts=[theirs, {"id": "x", "size": 1}])
    assert compare(thing(parts=[{"id": "x", "size": 1}]), there) == ()
    change = FieldChange("spec.parts[id=x].size", "1", "3", "")
    assert compare(thing(parts=[{"id": "x", "size": 3}]), there) == (change,)


def test_a_stamp_says_that_the_server_has_rewritten_this_very_manifest() -> None:
    wanted = stamped(thing(list=[{"a": 1}]))
    fields = {
        "f:metadata": {"f:annotations": {f"f:{STAMP}": {}}},
        "f:spec": {"f:list": {}},
    }
    there = custom(fields, list=[{"a": 1, "filled": "in"}])
    there["metadata"]["annotations"] = dict(wanted["metadata"]["annotations"])
    assert compare(wanted, there) == ()
    assert compare(stamped(thing(list=[{"a": 2}])), there) != ()


def test_a_stamp_does_not_depend_on_an_earlier_one() -> None:
    once = stamped(thing(a=1))
    assert stamped(once) == once
    assert stamped(DEPLOYMENT) == DEPLOYMENT


def test_hundreds_of_objects_are_compared_in_no_time() -> None:
    there = [live() for _ in range(200)]
    for one in there[:10]:
        compare(DEPLOYMENT, one)
    began = time.process_time()
    for one in there:
        compare(DEPLOYMENT, one)
    assert time.process_time() - began < 0.5


def test_values_that_are_written_the_same_are_told_apart() -> None:
    there = custom({"f:spec": {"f:a": {}, "f:b": {}}}, a=1, b="true")
    assert compare(thing(a="1", b=True), there) == (
        FieldChange("spec.a", "1 (number)", "1", ""),
        FieldChange("spec.b", "true (text)", "true", ""),
    )
