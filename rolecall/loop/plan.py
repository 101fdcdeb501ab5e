"""What a run would do, from probe answers alone: the whole of check mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rolecall.events import Outcome
from rolecall.resource import Change, Observed, Refuse, Resource, diff, opaque, overlap


@dataclass(frozen=True)
class Step:
    """One resource in the order of the run, under the role that declared it."""

    number: int
    role: str
    resource: Resource


@dataclass(frozen=True)
class Prediction:
    """What check mode says of a resource."""

    outcome: Outcome
    changes: tuple[Change, ...] = ()
    reason: str = ""
    hint: str = ""


def predict(
    steps: Sequence[Step], answers: Mapping[int, Observed], *, every: bool = False
) -> dict[int, Prediction]:
    """Predict each step's outcome without touching the host.

    A satisfied resource is ``ok`` only when no earlier unmet one may write what its probe
    reads; otherwise it is ``unknown until`` that one. An unmet resource ``would change`` unless
    an earlier change is opaque (covers more than exactly named things) and may satisfy it.
    After a resource that would fail, everything is skipped, as in the run itself; unless
    ``every`` resource is to be told of, because nothing is going to be run.
    """
    predictions: dict[int, Prediction] = {}
    unmet: list[Resource] = []
    stopped = ""
    for step in steps:
        resource, observed = step.resource, answers[step.number]
        if stopped and not every:
            predictions[step.number] = Prediction("skipped", reason=f"after {stopped}")
            continue
        trouble = probe_trouble(resource, observed)
        changes = diff(resource.desired(), observed)
        doubt = _doubt(resource, unmet, satisfied=not changes)
        if doubt:
            predictions[step.number] = Prediction("unknown until", changes, reason=doubt)
            unmet.append(resource)
        elif trouble:
            predictions[step.number] = trouble
            stopped = resource.id
        elif changes:
            apply = resource.apply(observed)
            if isinstance(apply, Refuse):
                predictions[step.number] = Prediction("failed", changes, apply.reason, apply.hint)
                stopped = resource.id
                continue
            predictions[step.number] = Prediction("would change", changes)
            unmet.append(resource)
        else:
            predictions[step.number] = Prediction("ok")
    return predictions


def first_refusal(
    steps: Sequence[Step], answers: Mapping[int, Observed], predictions: Mapping[int, Prediction]
) -> Step | None:
    """The step that would be refused whatever is done before it, if there is one."""
    return next(
        (
            step
            for step in steps
            if predictions[step.number].outcome == "failed"
            and not probe_trouble(step.resource, answers[step.number])
        ),
        None,
    )


def not_begun(predictions: Mapping[int, Prediction], doomed: Step) -> dict[int, Prediction]:
    """What a run reports that makes no change, because ``doomed`` would be refused."""
    return {
        number: said
        if said.outcome in {"ok", "failed", "skipped"}
        else Prediction("skipped", reason=f"not begun: {doomed.resource.id} would be refused")
        for number, said in predictions.items()
    }


def mask(changes: Sequence[Change]) -> tuple[Change, ...]:
    """The changes of a secret resource: which fields, never their values."""
    return tuple(
        Change(change.field, None if change.before is None else "********", "********")
        for change in changes
    )


def probe_trouble(resource: Resource, observed: Observed) -> Prediction | None:
    """The failure of a probe that answered none of the fields it was asked for, if it did."""
    if any(name in observed.fields for name in resource.desired()):
        return None
    said = "; ".join(observed.noise) or "it printed nothing"
    if resource.secret and observed.noise:
        said = "what it printed is not shown, the resource is secret"
    return Prediction("failed", reason=f"its probe failed: {said}")


def _doubt(resource: Resource, unmet: Sequence[Resource], satisfied: bool) -> str:
    """The id of the first earlier change that leaves this resource's outcome open, if any."""
    for earlier in unmet:
        touched = overlap(resource.reads(), earlier.writes())
        if touched and (satisfied or opaque(touched)):
            return earlier.id
    return ""
