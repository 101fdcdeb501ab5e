"""Whatever a cluster leaves out or adds, its objects are read to the end."""

from __future__ import annotations

import copy
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall.cluster.diagnosis.trouble import Patience
from rolecall.cluster.jobs import job_questions, job_state
from rolecall.cluster.mlservice import MLServiceRollout
from rolecall.cluster.objects import Ref
from rolecall.cluster.rollout import DeploymentRollout
from tests.unit.cluster import states
from tests.unit.cluster.states import claim, condition, deployment, ended, event, job, pod, waiting
from tests.unit.cluster.test_rollout_mlservice import live, manifest

#: What the API server itself sees to: without these it is no object.
KEPT = {"metadata", "name", "uid", "spec", "kind", "apiVersion", "containers", "namespace"}

UNSCHEDULABLE = "0/3 nodes are available: 2 Insufficient nvidia.com/gpu. preemption: x"


def everything() -> tuple[Any, Any, Any, Any]:
    """A replica set, pods in every state, a claim and events of all of them."""
    crashed = waiting("CrashLoopBackOff", "x", restartCount=4, lastState=ended(137, "OOMKilled"))
    pods = [
        pod("a", container=waiting("ImagePullBackOff", "x: not found")),
        pod("b", container=crashed),
        pod("c", container=waiting("CreateContainerConfigError", 'secret "x" not found')),
        pod("d", node="", conditions=[condition("PodScheduled", "False", "x", UNSCHEDULABLE)]),
        pod("e", phase="Failed", reason="Evicted", message="The node was low"),
        pod("f", phase="Running", container={"state": {"running": {}}}),
        pod("g", phase="Failed", container={"state": ended(1)}),
        states.ready_pod("h"),
    ]
    present = states.replica_set(conditions=[condition("ReplicaFailure", "True", "FailedCreate")])
    volume = claim("Pending", None)
    events = [
        event(pods[5], "Unhealthy", "Readiness probe failed: HTTP probe failed", at=1),
        event(pods[1], "Killing", "Container triton failed startup probe", at=2),
        event(pods[2], "FailedMount", 'configmap "x" not found', at=3),
        event(present, "FailedCreate", "exceeded quota: a, requested: b", at=4),
        event(volume, "FailedBinding", "no persistent volumes", at=5),
        event(pods[0], "FailedCreatePodSandBox", "no network", at=6),
    ]
    return present, pods, volume, events


def worn(thing: Any, chance: random.Random) -> Any:
    """The object without some of its fields, and with null in some: the API may send both."""
    if isinstance(thing, dict):
        kept = {}
        for key, value in thing.items():
            roll = chance.random()
            if key in KEPT or roll > 0.15:
                kept[key] = worn(value, chance)
            elif roll > 0.08 and isinstance(value, (dict, list)):
                kept[key] = None
        return kept
    if isinstance(thing, list):
        return [worn(one, chance) for one in thing]
    return thing


@settings(max_examples=200, deadline=None)
@given(st.integers())
def test_objects_with_holes_are_read_to_the_end(seed: int) -> None:
    chance = random.Random(seed)
    present, pods, volume, events = (worn(copy.deepcopy(one), chance) for one in everything())
    late = condition("Progressing", "False", "ProgressDeadlineExceeded")
    of_deployment = [
        worn(deployment(conditions=[late]), chance),
        (present,),
        tuple(pods),
        volume,
    ]
    rollout = DeploymentRollout(states.DEPLOYMENT)
    service = MLServiceRollout(manifest())
    told = worn(live("False", reason="x", message="y"), chance)
    asked = job_questions(Ref("batch/v1", "Job", "j", "n"), ["llm"])
    failed = worn(job(condition("Failed", "True", "BackoffLimitExceeded")), chance)
    troubles = [
        *rollout.state(of_deployment, events).troubles,
        *service.state([told, tuple(pods), (present,), volume], events).troubles,
        *job_state(asked, [failed, tuple(pods), volume], events).troubles,
    ]
    assert all(trouble.what and trouble.case and trouble.about for trouble in troubles)
    assert isinstance(rollout.is_ready(of_deployment[:1]), bool)
    assert isinstance(service.is_ready([told, tuple(pods)]), bool)
    Patience().verdict(troubles, 0.0)
