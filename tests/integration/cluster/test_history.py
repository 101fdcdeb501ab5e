"""What was in service is remembered, can be gone back to, and is cleared away in the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rolecall.cluster.destroy import cluster_removals
from rolecall.cluster.run import open_cluster
from rolecall.resource import Resource
from rolecall.resources.cluster_history import ClusterHistory, manifests_of, previous, revisions
from rolecall.resources.cluster_object import ClusterObject
from rolecall.run import HostPlan
from rolecall.settings import RunnerSettings
from tests.integration.cluster.place import Place, objects
from tests.rig.kubernetes.cluster import Cluster


@pytest.fixture
def place(cluster: Cluster, namespace: str, tmp_path: Path) -> Place:
    return Place(cluster.controllers(), namespace, tmp_path)


def release(place: Place, number: int) -> list[dict[str, Any]]:
    """A configuration of its own, and a workload that names it."""
    deployment = place.deployment(image=f"example.test/a:{number}")
    return [place.config(f"config-{number}", n=str(number)), deployment]


def deployed(place: Place, number: int) -> list[Resource]:
    manifests = release(place, number)
    history = ClusterHistory("llm", place.namespace, tuple(manifests))
    return [*objects(manifests), history, place.leftovers(*manifests)]


def test_going_back_and_forward_again(place: Place) -> None:
    place.run(*deployed(place, 1))
    place.run(*deployed(place, 2))
    found = place.api().read([revisions("llm", place.namespace)])[0]
    earlier = previous(found)
    assert earlier is not None
    manifests = manifests_of(earlier)
    assert manifests == release(place, 1)
    back = [*(ClusterObject(one) for one in manifests)]
    history = ClusterHistory("llm", place.namespace, tuple(manifests))
    went = place.run(*back, history)
    assert went.outcomes[history.id] == "changed", went.text
    image = place.get("deployment/llm")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == "example.test/a:1"
    # The way forward is a deploy like any other, and its configuration is still there.
    forward = place.run(*deployed(place, 2))
    assert forward.outcomes["configmap:config-2"] == "ok"
    assert forward.outcomes["deployment:llm"] == "changed"
    assert set(place.run(*deployed(place, 2)).outcomes.values()) == {"ok"}


def test_only_the_newest_are_kept_and_what_they_name(place: Place) -> None:
    for number in range(6):
        place.run(*deployed(place, number))
    assert len(place.names("controllerrevision")) == 4  # the present one and three earlier
    kept = {f"configmap/config-{number}" for number in (2, 3, 4, 5)}
    assert place.names("configmap") - {"configmap/kube-root-ca.crt"} == kept
    assert set(place.run(*deployed(place, 5)).outcomes.values()) == {"ok"}


@pytest.mark.parametrize("delete_data", [False, True])
def test_destroy_takes_everything_of_the_instance_and_data_only_when_asked(
    place: Place, delete_data: bool
) -> None:
    place.run(*deployed(place, 1), ClusterObject(place.claim()))
    place.kubectl("create", "configmap", "by-hand")
    target = place.target(delete_data=delete_data)
    plan = HostPlan(target, {"rolecall": RunnerSettings()})
    wanted = [("k8s", item) for item in deployed(place, 1)]
    removals = cluster_removals(target, open_cluster(plan, lambda _: wanted))
    assert removals[0][1].id == "deployment:llm"
    result = place.run(*(item for _, item in removals), delete_data=delete_data)
    assert set(result.outcomes.values()) == {"changed"}
    left = place.names("configmap,deployment,controllerrevision,pvc,service,lease")
    expected = {"configmap/by-hand", "configmap/kube-root-ca.crt"}
    assert left == expected | (set() if delete_data else {"persistentvolumeclaim/data"})
