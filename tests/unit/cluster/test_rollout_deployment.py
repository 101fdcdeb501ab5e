"""A Deployment's rollout: when it is over, and how far it is before."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall.cluster.objects import Ref, Selection
from rolecall.cluster.rollout import DeploymentRollout, RolloutState, rollout_of
from rolecall.errors import RolecallError
from tests.unit.cluster.states import (
    DEPLOYMENT,
    NAMESPACE,
    claim,
    condition,
    deployment,
    pod,
    ready_pod,
    replica_set,
    waiting,
)

ROLLOUT = DeploymentRollout(DEPLOYMENT)
DONE = {"updatedReplicas": 1, "replicas": 1, "availableReplicas": 1}


def state(
    live: Any, sets: Any = (), pods: Any = (), *, events: Any = (), volume: Any = ...
) -> RolloutState:
    volume = claim() if volume is ... else volume
    return ROLLOUT.state([live, tuple(sets), tuple(pods), volume], tuple(events))


def test_it_asks_for_its_parts_by_the_labels_of_its_selector() -> None:
    labels = (("app", "llm"),)
    assert ROLLOUT.glance == (Ref("apps/v1", "Deployment", "llm", NAMESPACE),)
    assert ROLLOUT.questions == (
        *ROLLOUT.glance,
        Selection("apps/v1", "ReplicaSet", NAMESPACE, labels),
        Selection("v1", "Pod", NAMESPACE, labels),
        Ref("v1", "PersistentVolumeClaim", "llm", NAMESPACE),
    )


@pytest.mark.parametrize(
    ("live", "is_ready"),
    [
        (deployment(**DONE), True),
        (deployment(observed=1, **DONE), False),  # of the generation before
        (deployment(**{**DONE, "availableReplicas": 0}), False),
        (deployment(**{**DONE, "replicas": 2}), False),  # an old one is still there
        (deployment(total=2, **DONE), False),
        (deployment(total=0), True),
        (None, False),
    ],
)
def test_it_is_ready_when_all_of_this_generation_is_available(live: Any, is_ready: bool) -> None:
    assert ROLLOUT.is_ready([live]) is is_ready


def test_the_number_of_replicas_is_the_clusters_where_an_autoscaler_has_it() -> None:
    said = state(
        deployment(total=3, updatedReplicas=3, replicas=3, availableReplicas=1), [replica_set()]
    )
    assert (said.done, said.total, said.summary) == (1, 3, "1 of 3 replicas ready")


def test_an_old_pod_that_serves_is_not_taken_for_a_new_one() -> None:
    live = deployment(updatedReplicas=1, replicas=2, availableReplicas=1)
    unready = pod("llm-2-a", container=waiting("ContainerCreating"))
    said = state(live, [replica_set(2), replica_set(1)], [unready])
    assert (said.done, said.summary) == (0, "0 of 1 replicas ready, 1 old to go")
    assert ROLLOUT.progress([live]) == "0 of 1 replicas ready, 1 old to go"


def test_old_pods_are_counted_and_their_troubles_are_not_this_rollouts() -> None:
    broken = pod("llm-1-a", owner="set-1", container=waiting("ImagePullBackOff", "not found"))
    said = state(
        deployment(updatedReplicas=1, replicas=2, availableReplicas=1),
        [replica_set(2), replica_set(1)],
        [ready_pod(), broken],
    )
    assert said.summary == "1 of 1 replicas ready, 1 old to go"
    assert not said.ready
    assert said.troubles == ()
    assert said.lines[0] == "pod llm-2-a on node-1: ready"
    assert said.lines[1].startswith("pod llm-1-a on node-1: the image")


def test_pods_of_another_deployment_with_the_same_labels_are_left_out() -> None:
    said = state(
        deployment(), [replica_set(owner="another")], [pod(container=waiting("ErrImagePull"))]
    )
    assert said.troubles == ()


def test_nothing_is_concluded_before_the_controller_has_seen_the_change() -> None:
    late = condition("Progressing", "False", "ProgressDeadlineExceeded")
    said = state(deployment(observed=1, conditions=[late], **DONE), [replica_set()])
    assert [trouble.case for trouble in said.troubles] == ["controller"]
    assert not said.ready


def test_a_deployment_that_is_gone_says_so() -> None:
    said = state(None)
    assert said.troubles[0].what == "Deployment/llm is not there"


def test_a_paused_rollout_names_the_command_that_resumes_it() -> None:
    live = deployment()
    live["spec"] = {**live["spec"], "paused": True}
    assert state(live).troubles[0].hint == "kubectl rollout resume deployment llm"


def test_a_kind_that_cannot_be_watched_is_refused() -> None:
    with pytest.raises(RolecallError, match="ConfigMap/x") as error:
        rollout_of({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x"}})
    assert error.value.hint == "these can: Deployment, MLService"
