"""A run on a namespace of a real API server: what it reads, what it writes, whose fields."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from rolecall.cluster.objects import INSTANCE
from rolecall.resources.cluster_object import ClusterObject
from rolecall.testing import Result
from tests.integration.cluster.place import Place, objects
from tests.rig.kubernetes.cluster import Cluster


@pytest.fixture
def place(cluster: Cluster, namespace: str, tmp_path: Path) -> Place:
    return Place(cluster, namespace, tmp_path)


def test_a_second_run_reads_once_and_writes_nothing(place: Place) -> None:
    manifests = [place.config(f"c{n}") for n in range(5)] + [place.deployment(), place.claim()]
    wanted = [*objects(manifests), place.leftovers(*manifests)]
    assert set(place.run(*wanted).outcomes.values()) <= {"changed", "ok"}
    before = place.get("configmap,deployment,pvc")["items"]
    mark = place.cluster.mark()
    second = place.run(*wanted)
    assert set(second.outcomes.values()) == {"ok"}
    assert second.exchanges == 1
    asked = place.cluster.requests(mark)
    assert not [one for one in asked if one.writes]
    assert len(asked) <= 9  # a list a kind, and the lock
    after = place.get("configmap,deployment,pvc")["items"]
    assert [one["metadata"]["resourceVersion"] for one in before] == [
        one["metadata"]["resourceVersion"] for one in after
    ]


def test_check_mode_foretells_every_change_and_writes_nothing(place: Place) -> None:
    wanted = objects([place.config(), place.deployment()])
    mark = place.cluster.mark()
    foretold = place.run(*wanted, check=True)
    assert set(foretold.outcomes.values()) == {"would change"}
    assert not [one for one in place.cluster.requests(mark) if one.writes and not one.dry]
    assert set(place.run(*wanted).outcomes.values()) == {"changed"}
    assert set(place.run(*wanted, check=True).outcomes.values()) == {"ok"}


def test_a_changed_field_is_shown_with_who_set_it(place: Place) -> None:
    wanted = ClusterObject(place.deployment(replicas=0))
    place.run(wanted)
    place.kubectl("scale", "deployment/llm", "--replicas=2")
    shown = place.run(wanted, check=True)
    change = next(one for one in shown.done[wanted.id].changes if one.field == "spec.replicas")
    assert change.before is not None and "2" in change.before and "kubectl" in change.before
    assert change.after == "0"


def test_a_field_that_somebody_owns_is_taken_over_only_by_force(place: Place) -> None:
    place.run(ClusterObject(place.config(a="1")))
    theirs = json.dumps(place.config(a="2"))
    place.kubectl(
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=alice",
        "-f",
        "-",
        stdin=theirs,
    )
    wanted = ClusterObject(place.config(a="1"))
    refused = place.run(wanted)
    assert refused.outcomes[wanted.id] == "failed"
    assert "alice" in refused.text and "data.a" in refused.text
    assert "--force-conflicts" in refused.done[wanted.id].hint
    assert place.get("configmap/one")["data"] == {"a": "2"}
    assert place.run(wanted, check=True).outcomes[wanted.id] == "failed"
    assert place.run(wanted, force_conflicts=True).outcomes[wanted.id] == "changed"
    assert place.get("configmap/one")["data"] == {"a": "1"}
    assert place.run(wanted).outcomes[wanted.id] == "ok"


def test_what_others_add_stays_and_what_we_drop_goes(place: Place) -> None:
    place.run(ClusterObject(place.config(a="1", b="2")))
    place.kubectl("annotate", "configmap/one", "note=theirs")
    place.kubectl("patch", "configmap/one", "-p", '{"data": {"c": "theirs"}}')
    wanted = ClusterObject(place.config(a="1"))
    shown = place.run(wanted, check=True)
    assert shown.outcomes[wanted.id] == "would change"
    place.run(wanted)
    live = place.get("configmap/one")
    assert live["data"] == {"a": "1", "c": "theirs"}
    assert live["metadata"]["annotations"] == {"note": "theirs"}
    assert place.run(wanted).outcomes[wanted.id] == "ok"


def test_a_zero_is_not_what_the_server_would_fill_in(place: Place) -> None:
    place.run(ClusterObject(place.deployment(replicas=1)))
    wanted = ClusterObject(place.deployment(replicas=0))
    assert place.run(wanted, check=True).outcomes[wanted.id] == "would change"
    none = place.deployment(replicas=0)
    none["spec"]["revisionHistoryLimit"] = 0
    none["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 0
    for _ in range(2):
        said = place.run(ClusterObject(none))
        spec = place.get("deployment/llm")["spec"]
        assert (spec["replicas"], spec["revisionHistoryLimit"]) == (0, 0)
        assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 0
    assert said.outcomes[wanted.id] == "ok"


@pytest.mark.parametrize("more", [{"node-role.kubernetes.io/gpu": ""}, {"protocol": "TCP"}])
def test_labels_of_nodes_are_compared_one_by_one(place: Place, more: dict[str, str]) -> None:
    def chosen(**labels: str) -> ClusterObject:
        manifest = place.deployment()
        manifest["spec"]["template"]["spec"]["nodeSelector"] = {"zone": "a", **labels}
        return ClusterObject(manifest)

    place.run(chosen())
    wanted = chosen(**more)
    assert place.run(wanted).outcomes[wanted.id] == "changed"
    spec = place.get("deployment/llm")["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == {"zone": "a", **more}
    assert place.run(wanted).outcomes[wanted.id] == "ok"
    assert place.run(chosen()).outcomes[wanted.id] == "changed"


def without_replicas(place: Place) -> ClusterObject:
    manifest = place.deployment()
    del manifest["spec"]["replicas"]
    return ClusterObject(manifest)


def test_pods_stay_when_their_number_is_left_to_others(place: Place) -> None:
    place.run(ClusterObject(place.deployment(replicas=3)))
    left = without_replicas(place)
    foretold = place.run(left, check=True, diff=True)
    assert foretold.outcomes[left.id] == "would change"
    assert "replicas: 1" not in foretold.text
    assert place.run(left).outcomes[left.id] == "changed"
    assert place.get("deployment/llm")["spec"]["replicas"] == 3
    before = place.get("deployment/llm")["metadata"]["resourceVersion"]
    assert place.run(left).outcomes[left.id] == "ok"
    assert place.get("deployment/llm")["metadata"]["resourceVersion"] == before
    # Nobody owns it now, so whoever wants to may set it: an autoscaler, or we ourselves.
    place.kubectl("scale", "deployment/llm", "--replicas=4")
    assert place.run(left).outcomes[left.id] == "ok"
    assert place.get("deployment/llm")["spec"]["replicas"] == 4


def test_no_pods_are_not_left_to_an_autoscaler_that_would_never_begin(place: Place) -> None:
    place.run(ClusterObject(place.deployment(replicas=0)))
    left = without_replicas(place)
    assert "replicas: 1" in place.run(left, check=True, diff=True).text
    place.run(left)
    assert place.get("deployment/llm")["spec"]["replicas"] == 1


def test_a_number_of_pods_that_nobody_took_over_is_set_again(place: Place) -> None:
    place.run(ClusterObject(place.deployment(replicas=3)))
    place.run(without_replicas(place))
    again = ClusterObject(place.deployment(replicas=2))
    assert place.run(again).outcomes[again.id] == "changed"
    assert place.get("deployment/llm")["spec"]["replicas"] == 2


def test_pods_are_counted_by_us_again_when_our_autoscaler_goes(place: Place) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "llm"}
    spec = {"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 4}
    autoscaler = place.thing("HorizontalPodAutoscaler", "llm", "autoscaling/v2", spec=spec)
    left = without_replicas(place)
    place.run(ClusterObject(autoscaler), left)
    place.kubectl("scale", "deployment/llm", "--replicas=3")  # as the autoscaler does it
    fixed = ClusterObject(place.deployment(replicas=2))
    assert place.run(fixed, check=True).outcomes[fixed.id] == "would change"
    assert place.run(fixed).outcomes[fixed.id] == "changed"
    # It has gone before the Deployment is waited for, or it would set the number once more.
    assert place.names("hpa") == set()
    assert place.get("deployment/llm")["spec"]["replicas"] == 2
    assert place.run(fixed).outcomes[fixed.id] == "ok"


def test_an_autoscaler_of_somebody_else_keeps_the_number_of_pods(place: Place) -> None:
    fixed = ClusterObject(place.deployment(replicas=2))
    place.run(fixed)
    place.kubectl("autoscale", "deployment/llm", "--min=3", "--max=4")
    place.kubectl("scale", "deployment/llm", "--replicas=3")
    said = place.run(fixed)
    assert said.outcomes[fixed.id] == "failed" and "spec.replicas: set by" in said.text
    assert place.names("hpa") == {"horizontalpodautoscaler.autoscaling/llm"}


def going(place: Place, what: str) -> None:
    """Delete an object that somebody keeps."""
    kept = '{"metadata": {"finalizers": ["example.com/keeps"]}}'
    place.kubectl("patch", what, "--type=merge", "-p", kept)
    place.kubectl("delete", what, "--wait=false")


def let_it_go(place: Place, what: str) -> None:
    place.kubectl("patch", what, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')


def test_an_object_on_its_way_out_is_waited_for_and_made_anew(place: Place) -> None:
    wanted = ClusterObject(place.config())
    place.run(wanted)
    old = place.get("configmap/one")["metadata"]["uid"]
    going(place, "configmap/one")
    foretold = place.run(wanted, check=True)
    assert foretold.outcomes[wanted.id] == "would change"
    (change,) = foretold.done[wanted.id].changes
    assert (change.field, change.before) == ("exists", "being deleted")
    threading.Timer(1, let_it_go, (place, "configmap/one")).start()
    said = place.run(wanted)
    assert said.outcomes[wanted.id] == "changed"
    assert place.get("configmap/one")["metadata"]["uid"] != old
    assert place.run(wanted).outcomes[wanted.id] == "ok"


@pytest.mark.parametrize("check", [True, False])
def test_a_claim_on_its_way_out_is_no_claim(place: Place, check: bool) -> None:
    wanted = ClusterObject(place.claim())
    place.run(wanted)
    going(place, "pvc/data")
    said = place.run(wanted, check=check)
    assert said.outcomes[wanted.id] == "failed"
    assert "PersistentVolumeClaim/data is being deleted: it goes, with its data" in said.text
    let_it_go(place, "pvc/data")


def test_an_object_made_by_hand_is_adopted(place: Place) -> None:
    by_hand = place.config(a="1")
    del by_hand["metadata"]["labels"]
    place.kubectl("create", "-f", "-", stdin=json.dumps(by_hand))
    wanted = ClusterObject(place.config(a="1"))
    assert place.run(wanted).outcomes[wanted.id] == "changed"
    assert place.run(wanted).outcomes[wanted.id] == "ok"


def test_a_claim_that_somebody_made_is_told_how_to_be_used(place: Place) -> None:
    theirs = place.claim(accessModes=["ReadWriteMany"])
    del theirs["metadata"]["labels"]
    place.kubectl("create", "-f", "-", stdin=json.dumps(theirs))
    wanted = ClusterObject(place.claim())
    said = place.run(wanted, check=True).done[wanted.id]
    assert "spec.accessModes: set by kubectl" in said.reason
    assert "k8s.volume.existing: true" in said.hint and "k8s.volume.claim" in said.hint
    taken = place.run(wanted, check=True, force_conflicts=True).done[wanted.id]
    assert "spec is immutable" in taken.reason and '-  "ReadWriteMany"' in taken.reason
    assert len(taken.reason.splitlines()) <= 4, taken.reason


def test_a_service_of_others_is_left_to_them(place: Place) -> None:
    place.kubectl("create", "deployment", "llm", "--image=example.test/other:1")
    changed = place.deployment()
    changed["spec"]["selector"]["matchLabels"] = {"app": "mine"}
    changed["spec"]["template"]["metadata"]["labels"] = {"app": "mine"}
    wanted = ClusterObject(changed)
    for force in (False, True):
        said = place.run(wanted, force_conflicts=force).done[wanted.id]
        assert said.outcome == "failed" and "spec.selector" in said.reason
        assert "name the service otherwise (k8s.name)" in said.hint


def test_diff_shows_what_the_server_would_make_of_it(place: Place) -> None:
    place.run(ClusterObject(place.deployment(image="example.test/a:1")))
    wanted = ClusterObject(place.deployment(image="example.test/a:2"))
    lines = place.run(wanted, check=True, diff=True).diffs[0].lines
    assert any(line.startswith("-") and "example.test/a:1" in line for line in lines)
    assert any(line.startswith("+") and "example.test/a:2" in line for line in lines)
    assert not any("managedFields" in line or "resourceVersion" in line for line in lines)


@pytest.mark.parametrize("check", [True, False])
def test_what_cannot_be_changed_is_refused_with_the_way_out(place: Place, check: bool) -> None:
    place.run(ClusterObject(place.claim()))
    wanted = ClusterObject(place.claim(accessModes=["ReadWriteMany"]))
    result = place.run(wanted, check=check)
    assert result.outcomes[wanted.id] == "failed"
    assert "k8s.volume.claim" in result.done[wanted.id].hint


def test_a_secret_is_never_shown(place: Place) -> None:
    planted = "pl4nted-s3cret"
    secret = place.thing("Secret", "token", stringData={"token": planted})
    wanted = ClusterObject(secret, secret=True)
    first = place.run(wanted, diff=True)
    changed = {**secret, "stringData": {"token": f"{planted}-2"}}
    second = place.run(ClusterObject(changed, secret=True), check=True, diff=True)
    third = place.run(ClusterObject(changed, secret=True), diff=True)
    assert set(second.outcomes.values()) == {"would change"}
    assert not any(planted in result.text for result in (first, second, third))
    assert place.run(ClusterObject(changed, secret=True)).outcomes[wanted.id] == "ok"


def test_what_left_the_settings_is_planned_and_then_deleted(place: Place) -> None:
    old, new, claim = place.config("old"), place.config("new"), place.claim()
    other = place.config("other")
    other["metadata"]["labels"][INSTANCE] = "another"
    place.run(*objects([old, claim, other]))
    place.kubectl("create", "configmap", "by-hand")
    rest = place.leftovers(new)
    shown = place.run(ClusterObject(new), rest, check=True)
    assert shown.done[rest.id].changes[0].before == "ConfigMap/old"
    assert place.run(ClusterObject(new), rest).outcomes[rest.id] == "changed"
    names = place.kubectl("get", "configmap", "-o", "name").split()
    assert {"configmap/new", "configmap/other", "configmap/by-hand"} <= set(names)
    assert "configmap/old" not in names
    assert "data" in place.kubectl("get", "pvc", "-o", "name")
    all_of_it = place.leftovers(new, delete_data=True)
    place.kubectl("patch", "pvc/data", "-p", '{"metadata": {"finalizers": null}}')
    assert place.run(ClusterObject(new), all_of_it).outcomes[all_of_it.id] == "changed"
    assert place.kubectl("get", "pvc", "-o", "name") == ""


def test_missing_rights_are_named_before_anything_is_written(place: Place) -> None:
    rules = [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "verbs": ["get", "list", "create", "patch"],
        },
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get"]},
    ]
    kubeconfig = place.cluster.user("weak", rules, place.namespace)
    weak = Place(place.cluster, place.namespace, place.folder / "weak", kubeconfig, "weak")
    for check in (True, False):
        result = weak.run(*objects([place.config(), place.deployment()]), check=check)
        assert "patch deployment.apps" in result.text
        assert place.namespace in result.text
    assert "one" not in place.kubectl("get", "configmap", "-o", "name")


def _serial(result: Result, *wanted: ClusterObject) -> list[str]:
    return [result.outcomes[one.id] for one in wanted]


def test_after_a_failure_the_rest_is_skipped(place: Place) -> None:
    wrong = place.deployment()
    wrong["spec"]["template"]["spec"]["containers"][0]["image"] = 5
    wanted = objects([place.config(), wrong, place.claim()])
    result = place.run(*wanted)
    assert _serial(result, *wanted) == ["changed", "failed", "skipped"]
