"""Where a Job is (batch/v1), and why it has failed.

Reasons: Kubernetes 1.34, k8s.io/api/batch/v1 (JobReason…).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rolecall.cluster.diagnosis.objects import condition, newest_first, one_line, status
from rolecall.cluster.diagnosis.pods import pod_report, started
from rolecall.cluster.diagnosis.trouble import LogsOf, Trouble
from rolecall.cluster.diagnosis.volumes import claim_trouble
from rolecall.cluster.objects import Found, Object, Question, Ref, Selection
from rolecall.cluster.rollout import claims, many, missing, only, refusals

#: What the job controller decides itself: a pod that ends badly is the job's next try.
_TRIES = frozenset({"crash", "out of memory", "probe", "turned out"})


@dataclass(frozen=True)
class JobState:
    """Where a job is.

    Attributes:
        done: it has succeeded.
        lines: what its pods do.
        troubles: what keeps it from going on; a failed job is one without hope.
        logs: the containers that have begun, in their order, each once per start.
    """

    done: bool
    lines: tuple[str, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    logs: tuple[RunOf, ...] = ()


@dataclass(frozen=True)
class RunOf:
    """One run of a container, and whether it goes on."""

    pod: str
    container: str
    number: int
    running: bool


def job_questions(ref: Ref, claim_names: Sequence[str] = ()) -> tuple[Question, ...]:
    """What is asked about a job: itself, its pods, and the claims that they use."""
    return (
        ref,
        Selection("v1", "Pod", ref.namespace, (("job-name", ref.name),)),
        *(Ref("v1", "PersistentVolumeClaim", claim, ref.namespace) for claim in claim_names),
    )


def job_state(
    questions: Sequence[Question], found: Sequence[Found], events: Sequence[Object] = ()
) -> JobState:
    """Where a job is, by the answers to :func:`job_questions` and the namespace's events."""
    ref = questions[0]
    assert isinstance(ref, Ref)
    job = only(found[0])
    if job is None:
        return JobState(done=False, troubles=missing(ref).troubles)
    if condition(job, "Complete").get("status") == "True":
        return JobState(done=True, logs=_runs(many(found[1])))
    pods = newest_first(many(found[1]))
    reports = [pod_report(pod, events) for pod in pods]
    volumes = [
        trouble
        for claim in claims(questions[2:], found[2:])
        if (trouble := claim_trouble(*claim, tuple(events)))
    ]
    of_pods = [trouble for report in reports for trouble in report.troubles]
    failed = condition(job, "Failed")
    if failed.get("status") == "True":
        words = one_line(f"{failed.get('reason')}: {failed.get('message')}")
        return JobState(False, (), (_failed(words, of_pods),), _runs(pods))
    return JobState(
        False,
        (*(trouble.what for trouble in volumes), *(report.line for report in reports))
        or _idle(job),
        (*refusals(job, events), *volumes, *map(_next_try, of_pods)),
        _runs(pods),
    )


def _failed(words: str, troubles: Sequence[Trouble]) -> Trouble:
    """The end of a job, by what its last pod had to say."""
    if not troubles:
        hint = ""
        if "DeadlineExceeded" in words:
            hint = "give it longer (activeDeadlineSeconds), if it only needs longer"
        return Trouble("job", "the job", f"it failed ({words})", hint, "none")
    last = troubles[0]
    return replace(last, case="job", about="the job", what=f"{last.what} ({words})", hope="none")


def _next_try(trouble: Trouble) -> Trouble:
    return replace(trouble, hope="full") if trouble.case in _TRIES else trouble


def _idle(job: Object) -> tuple[str, ...]:
    if condition(job, "Suspended").get("status") == "True" or (job.get("spec") or {}).get(
        "suspend"
    ):
        return ("the job is suspended: a queue of the cluster lets it begin",)
    return () if status(job).get("active") else ("the job has no pod yet",)


def _runs(pods: Sequence[Object]) -> tuple[RunOf, ...]:
    oldest_first = reversed(newest_first(pods))
    return tuple(run for pod in oldest_first for run in map(_run_of, started(pod)))


def _run_of(begun: tuple[LogsOf, int, bool]) -> RunOf:
    logs_of, number, running = begun
    return RunOf(logs_of.pod, logs_of.container, number, running)
