"""The settings that would make a model fit: each of them computed, none guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from roles.preflight.sizing.fit import (
    DOES_NOT_FIT,
    FITS,
    VERDICTS,
    Sizing,
    kv_capability,
    kv_dtype,
    least_kv_tokens,
    size,
    weight_dtype,
    weights_capability,
)
from roles.preflight.sizing.model import Model
from roles.preflight.sizing.plan import Gpus, Plan
from roles.preflight.sizing.quantization import named

#: A sequence shorter than this is of no use to anybody.
_SHORTEST = 512

#: Steps in which a sequence length is tried.
_STEP = 256

#: What a proposal may change, in the order in which it says so.
_CHANGED = (
    "dtype",
    "quantization",
    "kv_dtype",
    "tp_size",
    "pp_size",
    "max_tokens_in_paged_kv_cache",
    "max_seq_len",
    "max_batch_size",
    "max_beam_width",
)

#: More proposals than these tell the reader nothing new.
_MOST = 5


@dataclass(frozen=True)
class Advice:
    """A change of settings, and what comes of it.

    Attributes:
        changes: what to set, such as ``repo.llmapi.max_seq_len=4096``.
        sizing: the figures with it.
        missing: GPUs that it takes beyond those that are there.
    """

    changes: tuple[str, ...]
    sizing: Sizing
    missing: int = 0

    @property
    def text(self) -> str:
        """The changes in one line."""
        on = f" (on {self.sizing.plan.gpus} GPUs)" if self.missing else ""
        return ", ".join(self.changes) + on


def advise(model: Model, plan: Plan, gpus: Gpus) -> list[Advice]:
    """What makes ``plan`` fit on ``gpus``, single changes first; nothing if it fits.

    Of a plan that does not fit, also what makes it at least tight.
    """
    now = size(model, plan, gpus)
    if now.verdict == FITS or not now.total:
        return []
    possible = _possible(model, plan, gpus)
    proposals: dict[str, Advice] = {}
    for wanted in VERDICTS[: VERDICTS.index(now.verdict)]:
        found = [
            advice
            for advice in _searched(model, possible, plan, gpus, wanted)
            if advice.changes and advice.text not in proposals
        ]
        proposals.update((advice.text, advice) for advice in found[:_MOST])
    return sorted(proposals.values(), key=lambda advice: VERDICTS.index(advice.sizing.verdict))


def _possible(model: Model, plan: Plan, gpus: Gpus) -> Plan:
    """The plan without what these GPUs cannot compute, and with GPUs that are there."""
    capability = gpus.capability or 90
    if kv_capability(plan, kv_dtype(model, plan)) > capability:
        plan = replace(plan, kv_dtype="int8" if plan.recipe == "engine" else "auto")
    if weights_capability(plan, named(plan.quantization)) > capability:
        plan = replace(plan, quantization="int8" if plan.recipe == "engine" else "none")
    if capability < 80 and weight_dtype(model, plan) == "bfloat16":
        plan = replace(plan, dtype="float16")
    while plan.gpus > max(gpus.count, 1) and plan.tp_size > 1:
        plan = replace(plan, tp_size=plan.tp_size // 2)
    while model.heads and model.heads % plan.tp_size:
        plan = replace(plan, tp_size=plan.tp_size - 1)
    least = least_kv_tokens(plan, plan.max_seq_len or model.max_positions)
    if 0 < plan.max_tokens_in_paged_kv_cache < least:
        plan = replace(plan, max_tokens_in_paged_kv_cache=least)
    return plan


def _searched(
    model: Model, possible: Plan, plan: Plan, gpus: Gpus, wanted: str
) -> Iterator[Advice]:
    """Single changes; then, where there are none, pairs of a smaller form and a smaller load."""
    if possible != plan and _reaches(model, possible, gpus, wanted):
        yield _advice(model, possible, plan, gpus)
        return
    singles = list(_singles(model, possible, plan, gpus, wanted))
    yield from singles
    if singles:
        return
    for form in _forms(model, possible, gpus):
        yield from _loads(model, form, plan, gpus, wanted)


def _singles(model: Model, possible: Plan, plan: Plan, gpus: Gpus, wanted: str) -> Iterator[Advice]:
    yield from _loads(model, possible, plan, gpus, wanted)
    for form in _forms(model, possible, gpus):
        if _reaches(model, form, gpus, wanted):
            yield _advice(model, form, plan, gpus)


def _loads(model: Model, form: Plan, plan: Plan, gpus: Gpus, wanted: str) -> Iterator[Advice]:
    """The longest sequences, the largest batch and so on with which ``form`` gets there."""

    def reaches(name: str) -> Callable[[int], bool]:
        return lambda value: _reaches(model, _with(form, name, value), gpus, wanted)

    length = form.max_seq_len or model.max_positions
    allowed, whole = form.max_tokens_in_paged_kv_cache, least_kv_tokens(form, length)
    for name, least, below, step in (
        ("max_tokens_in_paged_kv_cache", whole, allowed, form.tokens_per_block),
        ("max_seq_len", _SHORTEST, length, _STEP),
        ("max_batch_size", 1, form.max_batch_size, 1),
        ("max_beam_width", 1, form.max_beam_width, 1),
    ):
        value = _largest(reaches(name), least, below, step)
        if value:
            yield _advice(model, _with(form, name, value), plan, gpus)


def _with(plan: Plan, name: str, value: int) -> Plan:
    changes: dict[str, Any] = {name: value}
    return replace(plan, **changes)


def _forms(model: Model, plan: Plan, gpus: Gpus) -> Iterator[Plan]:
    """The plan with a smaller KV cache, smaller weights, both, or on more GPUs."""
    caches = [plan, *_smaller_caches(model, plan, gpus)]
    yield from caches[1:]
    for name in _smaller_weights(model, plan, gpus):
        for cache in caches:
            yield replace(cache, quantization=name)
    yield from _more_gpus(model, plan)


def _smaller_caches(model: Model, plan: Plan, gpus: Gpus) -> Iterator[Plan]:
    if kv_dtype(model, plan) in {"fp8", "int8", "nvfp4"}:
        return
    if gpus.capability >= kv_capability(plan, "fp8"):
        yield replace(plan, kv_dtype="fp8")
    elif plan.recipe == "engine":
        yield replace(plan, kv_dtype="int8")


def _smaller_weights(model: Model, plan: Plan, gpus: Gpus) -> Iterator[str]:
    if named(plan.quantization).bits or model.quantization.bits:
        return
    for name in ("fp8", "int8", "int4_awq") if plan.recipe == "engine" else ("fp8",):
        if weights_capability(plan, named(name)) <= (gpus.capability or 89):
            yield name


def _more_gpus(model: Model, plan: Plan) -> Iterator[Plan]:
    for tp_size in (2, 4, 8):
        if tp_size > plan.tp_size and not (model.heads % tp_size if model.heads else 0):
            yield replace(plan, tp_size=tp_size)
    if plan.tp_size == 8:
        for pp_size in (2, 4):
            if pp_size > plan.pp_size:
                yield replace(plan, pp_size=pp_size)


def _reaches(model: Model, plan: Plan, gpus: Gpus, wanted: str) -> bool:
    verdict = size(model, plan, _enough(plan, gpus)).verdict
    return verdict != DOES_NOT_FIT and VERDICTS.index(verdict) <= VERDICTS.index(wanted)


def _enough(plan: Plan, gpus: Gpus) -> Gpus:
    """More of the same GPUs, for a proposal that takes more than there are."""
    return replace(gpus, count=max(gpus.count, plan.gpus), mig="" if plan.gpus > 1 else gpus.mig)


def _advice(model: Model, changed: Plan, plan: Plan, gpus: Gpus) -> Advice:
    changes = tuple(
        plan.says(name, getattr(changed, name))
        for name in _CHANGED
        if getattr(changed, name) != getattr(plan, name)
    )
    missing = max(0, changed.gpus - gpus.count)
    return Advice(changes, size(model, changed, _enough(changed, gpus)), missing)


def _largest(reaches: Callable[[int], bool], least: int, below: int, step: int) -> int:
    """The largest multiple of ``step`` from ``least`` to under ``below`` that reaches; else 0.

    A smaller load needs less memory, so that halving finds it.
    """
    low, high = -(-least // step), (below - 1) // step
    if high < low or not reaches(low * step):
        return 0
    while low < high:
        middle = (low + high + 1) // 2
        if reaches(middle * step):
            low = middle
        else:
            high = middle - 1
    return low * step
