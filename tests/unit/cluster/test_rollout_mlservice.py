"""An MLService's rollout: what the platform says, and whether it speaks of this manifest."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall.cluster.mlservice import MLServiceRollout
from rolecall.cluster.objects import Ref, Selection
from rolecall.cluster.rollout import RolloutState, rollout_of
from tests.unit.cluster.states import (
    DIGEST,
    NAMESPACE,
    claim,
    condition,
    pod,
    ready_pod,
    waiting,
)


def manifest(*, marks: bool = True, replicas: int | None = 1) -> dict[str, Any]:
    template = {"template": {"metadata": {"annotations": {DIGEST: "new", "else": "x"}}}}
    return {
        "apiVersion": "tensorstack.dev/v1beta1",
        "kind": "MLService",
        "metadata": {"name": "llm", "namespace": NAMESPACE},
        "spec": {
            "default": "v1",
            "releases": [
                {
                    "name": "v1",
                    "predictor": {
                        **({} if replicas is None else {"minReplicas": replicas}),
                        "model": {"runtime": "llm"},
                        "storage": {"pvc": {"name": "llm", "mountPath": "/workspace"}},
                        **(template if marks else {}),
                    },
                }
            ],
        },
    }


def live(ready: str = "True", *, reason: str = "", message: str = "", **release: Any) -> Any:
    conditions = [condition("Paused", "False"), condition("Ready", ready, reason, message)]
    releases = [{"name": "v1", "ready": ready == "True", **release}]
    status = {"conditions": conditions, "releases": releases}
    return {**manifest(), "status": status, "metadata": {"name": "llm", "uid": "service"}}


NEW, OLD = {"annotations": {DIGEST: "new"}}, {"annotations": {DIGEST: "old"}}


def state(thing: Any, *pods: Any, wanted: Any = None) -> RolloutState:
    rollout = MLServiceRollout(wanted or manifest())
    return rollout.state([thing, tuple(pods), (), claim()])


def test_its_pods_are_found_by_knatives_label() -> None:
    rollout = rollout_of(manifest())
    label = (("serving.knative.dev/service", "llm-predict-v1"),)
    assert rollout.glance == (
        Ref("tensorstack.dev/v1beta1", "MLService", "llm", NAMESPACE),
        Selection("v1", "Pod", NAMESPACE, label),
    )
    assert rollout.questions[2:] == (
        Selection("apps/v1", "ReplicaSet", NAMESPACE, label),
        Ref("v1", "PersistentVolumeClaim", "llm", NAMESPACE),
    )


@pytest.mark.parametrize(
    ("thing", "pods", "wanted", "is_ready"),
    [
        (live(), [ready_pod(**NEW)], manifest(), True),
        (live(), [ready_pod(**OLD)], manifest(), False),  # it speaks of what was there before
        (live("False"), [ready_pod(**NEW)], manifest(), False),
        (live("Unknown"), [ready_pod(**NEW)], manifest(), False),
        (live(), [], manifest(), False),
        (live(), [], manifest(replicas=0), True),  # it may scale to nothing
        (live(), [ready_pod()], manifest(marks=False), True),
        (live(), [ready_pod(**NEW)], manifest(replicas=None), True),
        (live(), [ready_pod(**NEW)], manifest(replicas=2), False),
        (None, [], manifest(), False),
    ],
)
def test_it_is_ready_when_the_platform_says_so_of_pods_with_our_marks(
    thing: Any, pods: list[Any], wanted: Any, is_ready: bool
) -> None:
    assert MLServiceRollout(wanted).is_ready([thing, tuple(pods)]) is is_ready


def test_what_the_platform_says_is_shown_and_waited_for() -> None:
    said = state(live("False", reason="RevisionFailed", message="quota\nis used up"))
    assert said.lines == ("the platform says: RevisionFailed: quota is used up",)
    assert [(t.case, t.hope) for t in said.troubles] == [("platform", "some")]


def test_a_release_speaks_for_itself() -> None:
    said = state(live("Unknown", reason="x"))
    assert said.lines == ()
    thing = live("Unknown")
    thing["status"]["releases"][0] |= {"reason": "Deploying", "message": "no node"}
    assert state(thing).lines == ("the platform says: release v1: Deploying: no node",)


def test_the_cause_in_a_pod_comes_before_what_the_platform_makes_of_it() -> None:
    broken = pod(container=waiting("ErrImagePull", "x: not found"), **NEW)
    said = state(live("False", reason="RevisionFailed"), broken, ready_pod("old", **OLD))
    assert [trouble.case for trouble in said.troubles] == ["image", "platform"]
    assert said.summary == "0 of 1 replicas ready, 1 old to go"


def test_a_paused_service_says_so() -> None:
    thing = live("False")
    thing["status"]["conditions"][0]["status"] = "True"
    assert state(thing).troubles[0].what == "MLService/llm is paused"
