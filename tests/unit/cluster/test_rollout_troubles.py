"""Which troubles a rollout and a job have, of all that is reported."""

from __future__ import annotations

from typing import Any

from rolecall.cluster.diagnosis.trouble import LogsOf
from rolecall.cluster.follow import after
from rolecall.cluster.jobs import JobState, RunOf, job_questions, job_state
from rolecall.cluster.objects import Ref
from rolecall.cluster.rollout import DeploymentRollout, RolloutState
from tests.unit.cluster.states import (
    DEPLOYMENT,
    NAMESPACE,
    claim,
    condition,
    deployment,
    ended,
    event,
    job,
    pod,
    replica_set,
    waiting,
)

JOB = Ref("batch/v1", "Job", "llm-prepare", NAMESPACE)
ASKED = job_questions(JOB, ["llm"])


def rollout(live: Any, sets: Any, pods: Any, *events: Any, volume: Any = None) -> RolloutState:
    found = [live, tuple(sets), tuple(pods), volume or claim()]
    return DeploymentRollout(DEPLOYMENT).state(found, events)


def of_job(live: Any, *pods: Any, events: Any = ()) -> JobState:
    return job_state(ASKED, [live, tuple(pods), claim()], tuple(events))


QUOTA = (
    'pods "llm-2-a" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=1, '
    "used: requests.nvidia.com/gpu=1, limited: requests.nvidia.com/gpu=1"
)


def test_a_quota_is_found_in_the_condition_of_the_replica_set() -> None:
    failed = condition("ReplicaFailure", "True", "FailedCreate", QUOTA)
    said = rollout(deployment(), [replica_set(conditions=[failed])], [])
    assert [trouble.case for trouble in said.troubles] == ["quota"]


def test_a_refusal_that_only_an_event_reports_counts_until_a_pod_was_made() -> None:
    present = replica_set()
    refused = event(present, "FailedCreate", f"Error creating: {QUOTA}", at=1)
    made = event(present, "SuccessfulCreate", "Created pod: llm-2-a", at=2)
    assert [t.case for t in rollout(deployment(), [present], [], refused).troubles] == ["quota"]
    assert rollout(deployment(), [present], [], refused, made).troubles == ()


def test_when_time_is_up_the_cause_comes_first() -> None:
    late = condition(
        "Progressing", "False", "ProgressDeadlineExceeded", 'ReplicaSet "llm-2" has timed out'
    )
    words = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. preemption: x"
    waits = pod(node="", conditions=[condition("PodScheduled", "False", "Unschedulable", words)])
    said = rollout(deployment(conditions=[late]), [replica_set()], [waits])
    assert [trouble.case for trouble in said.troubles] == ["unschedulable", "deadline"]


def test_a_claim_comes_before_the_pod_that_waits_for_it() -> None:
    words = "no persistent volumes available for this claim and no storage class is set"
    volume = claim("Pending", None)
    unbound = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. x"
    waits = pod(node="", conditions=[condition("PodScheduled", "False", "Unschedulable", unbound)])
    said = rollout(
        deployment(),
        [replica_set()],
        [waits],
        event(volume, "FailedBinding", words),
        volume=volume,
    )
    assert [trouble.case for trouble in said.troubles] == ["volume", "unschedulable"]


def test_pods_that_nodes_turn_out_again_and_again_end_the_waiting() -> None:
    out = [
        pod(f"llm-2-{one}", phase="Failed", reason="UnexpectedAdmissionError", message="no device")
        for one in "abc"
    ]
    assert {t.hope for t in rollout(deployment(), [replica_set()], out[:2]).troubles} == {"full"}
    last = rollout(deployment(), [replica_set()], out).troubles[-1]
    assert last.hope == "none"
    assert last.what.startswith("3 pods were turned out by their nodes; the last one: the node")


def test_a_job_is_done_when_it_is_complete() -> None:
    assert of_job(job(condition("Complete", "True"))).done
    assert not of_job(job(active=1)).done


def test_a_failed_job_is_explained_by_its_last_pod() -> None:
    failed = condition("Failed", "True", "BackoffLimitExceeded", "Job has reached the limit")
    killed = {"state": ended(137, "OOMKilled")}
    earlier = pod("p-1", owner="job", phase="Failed", container={"state": ended(1)})
    last = pod("p-2", owner="job", phase="Failed", container=killed)
    last["metadata"]["creationTimestamp"] = "2026-11-22T20:05:00Z"
    trouble = of_job(job(failed), earlier, last).troubles[0]
    assert trouble.what == (
        "container triton was killed: it used more memory than its limit of 64Gi (OOMKilled) "
        "(BackoffLimitExceeded: Job has reached the limit)"
    )
    assert trouble.logs_of == LogsOf("p-2", "triton")
    assert trouble.hope == "none"


def test_a_job_that_ran_too_long_says_which_limit_to_raise() -> None:
    late = condition("Failed", "True", "DeadlineExceeded", "Job was active longer than specified")
    trouble = of_job(job(late)).troubles[0]
    assert "DeadlineExceeded" in trouble.what
    assert "activeDeadlineSeconds" in trouble.hint


def test_a_pod_that_fails_is_the_jobs_next_try_and_no_end() -> None:
    failed = pod(phase="Failed", container={"state": ended(1), "restartCount": 9})
    said = of_job(job(active=1), failed)
    assert [trouble.hope for trouble in said.troubles] == ["full"]
    assert "ended with status 1" in said.lines[0]


def test_a_jobs_pod_without_an_image_is_trouble_at_once() -> None:
    waits = pod(container=waiting("ImagePullBackOff", "x: not found"))
    assert [(t.case, t.hope) for t in of_job(job(active=1), waits).troubles] == [
        ("image", "little")
    ]


def test_a_suspended_job_says_what_it_waits_for() -> None:
    assert of_job(job(condition("Suspended", "True"))).lines == (
        "the job is suspended: a queue of the cluster lets it begin",
    )


def test_every_start_of_a_container_has_a_log_of_its_own_oldest_pod_first() -> None:
    old = pod("p-1", phase="Failed", container={"state": ended(1)})
    new = pod("p-2", phase="Running", container={"state": {"running": {}}, "restartCount": 1})
    new["metadata"]["creationTimestamp"] = "2026-11-22T20:05:00Z"
    assert of_job(job(active=1), new, old).logs == (
        RunOf("p-1", "triton", 0, False),
        RunOf("p-2", "triton", 1, True),
    )


def test_a_job_that_somebody_deleted_says_so() -> None:
    assert of_job(None).troubles[0].what == "Job/llm-prepare is not there"


def test_a_log_is_taken_up_after_the_last_lines_that_are_known() -> None:
    lines = ["a", "b", "a", "b", "c"]
    assert after(["a", "b"], lines) == ["c"]
    assert after(["b", "c"], lines) == []
    assert after(["x"], lines) == lines  # it was cut off meanwhile
