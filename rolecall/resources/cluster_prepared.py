"""A volume that a job has filled, once for each content."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rolecall.cluster.ending import is_going
from rolecall.cluster.objects import Found, Object, Ref
from rolecall.cluster.resource import ClusterResource, Look
from rolecall.cluster.target import ClusterTarget, cluster_of
from rolecall.resource import Apply, Call, Observed
from rolecall.resources.cluster_gone import delete
from rolecall.targets import Target

if TYPE_CHECKING:
    from rolecall.cluster.api import Right

#: The annotation of a claim that lists the contents that its volume has, newest last.
PREPARED = "rolecall.dev/prepared"

#: As many are remembered: what was pushed out is prepared once more, which finds it there.
REMEMBERED = 20


@dataclass(frozen=True)
class ClusterPrepared(ClusterResource):
    """The volume of ``claim`` holds what ``job`` makes.

    The record stands on the claim, so it goes with the volume. A job that runs already is
    followed; one that ended is begun anew, and finds what the earlier one has left.

    Attributes:
        content: a digest of all that the job's result depends on.
        follow: waits for the job to succeed, and says what happens meanwhile.
    """

    kind: ClassVar[str] = "prepared"

    claim: Ref
    content: str
    job: Object
    follow: Callable[[ClusterTarget, Ref], None]

    @property
    def name(self) -> str:
        """The claim."""
        return self.claim.name

    def look(self) -> Look:
        """Read the claim's record."""
        return Look((self.claim,), self._answer)

    def desired(self) -> Mapping[str, str]:
        """The record has this content."""
        return {"content": self.content}

    def apply(self, observed: Observed) -> Apply:
        """Run the job, or go on following it, and record that it has succeeded."""

        def run(target: Target) -> None:
            cluster = cluster_of(target)
            ref = Ref.of(self.job)
            there = cluster.api.read([ref])[0]
            if isinstance(there, Mapping) and (_is_over(there) or is_going(there)):
                delete(cluster, ref)
                there = None
            if there is None:
                cluster.api.apply(self.job)
            cluster.follows(ref.name, there is not None)
            self.follow(cluster, ref)
            claim = cluster.api.read([self.claim])[0]
            contents = [one for one in _contents(claim) if one != self.content]
            kept = " ".join([*contents, self.content][-REMEMBERED:])
            cluster.api.merge(self.claim, {"metadata": {"annotations": {PREPARED: kept}}})

        return Call(run, f"run {Ref.of(self.job)}")

    def rights(self, observed: Observed) -> tuple[Right, ...]:
        """To run a job, to follow its log, and to record its end."""
        from rolecall.cluster.api import Right

        job = Ref.of(self.job)
        pods = Ref("v1", "Pod", "", job.namespace)
        return (
            *(Right.on(verb, job) for verb in ("get", "create", "patch", "delete")),
            Right.on("list", pods),
            Right.on("list", Ref("v1", "Event", "", job.namespace)),
            Right.on("get", pods, "log"),
            *(Right.on(verb, self.claim) for verb in ("get", "patch")),
        )

    def reads(self) -> frozenset[str]:
        """The claim."""
        return self.claim.claims

    def writes(self) -> frozenset[str]:
        """The claim's record, which is nobody else's field."""
        return frozenset({f"prepared:{self.claim.name}"})

    def _answer(self, found: Sequence[Found]) -> Observed:
        contents = _contents(found[0])
        if self.content in contents:
            return Observed.of({"content": self.content})
        return Observed.of({"content": contents[-1] if contents else "nothing"})


def _contents(claim: Found) -> list[str]:
    if not isinstance(claim, Mapping):
        return []
    return str(claim["metadata"].get("annotations", {}).get(PREPARED, "")).split()


def _is_over(job: Object) -> bool:
    """Whether it has succeeded or failed (batch/v1, JobStatus.conditions)."""
    conditions = job.get("status", {}).get("conditions", [])
    return any(
        one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in conditions
    )
