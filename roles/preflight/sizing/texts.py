"""The figures of a sizing in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roles.preflight.sizing.fit import DOES_NOT_FIT, FITS, LIMIT, Sizing
from roles.preflight.sizing.host import Needs
from roles.preflight.sizing.plan import GIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roles.preflight.sizing.advice import Advice


def gib(size: float) -> str:
    """Such as ``12.55 GiB``."""
    return f"{size / GIB:.2f} GiB"


def sequences(number: int, length: int) -> str:
    """Such as ``64 sequences of 4096 tokens``."""
    return f"{number} sequence{'' if number == 1 else 's'} of {length} tokens"


def reason(sizing: Sizing) -> list[str]:
    """Why the verdict is what it is, in a sentence or a few."""
    if sizing.problems:
        return list(sizing.problems)
    if not sizing.total:
        return ["the memory of the GPUs is not known"]
    usable = f"{LIMIT:.0%} of the GPU's {gib(sizing.total)}, which is {gib(sizing.usable)}"
    if sizing.verdict == DOES_NOT_FIT:
        return [
            f"weights of {gib(sizing.weights)} and the KV cache of one sequence of "
            f"{sizing.seq_len} tokens, {gib(sizing.kv_sequence)}, are more than {usable}"
        ]
    if not sizing.weights:
        return ["the size of the weights is not known"]
    plan = sizing.plan
    batch, allowed = plan.max_batch_size, plan.max_tokens_in_paged_kv_cache
    if sizing.verdict == FITS and allowed and 0 <= sizing.sequences < batch:
        return [
            f"{gib(sizing.needed)} are needed; the {allowed} tokens of the KV cache hold "
            f"{sizing.sequences} of {sequences(batch, sizing.seq_len)} at once"
        ]
    if sizing.verdict == FITS:
        return [f"{gib(sizing.needed)} for {sequences(batch, sizing.seq_len)} at once"]
    if sizing.sequences > 0:
        return [
            f"{sizing.sequences} of {sequences(batch, sizing.seq_len)} fit at once; "
            f"further ones wait. All would take {gib(sizing.needed)}; there is {usable}"
        ]
    return [
        f"by the estimates not one sequence of {sizing.seq_len} tokens fits beside activations "
        f"and runtime: {gib(sizing.least + sizing.activations + sizing.runtime)} are needed; "
        f"there is {usable}"
    ]


def proposals(advice: Sequence[Advice]) -> list[str]:
    """A line for each proposal, with what comes of it."""
    return [
        f"{item.text}: {item.sizing.verdict}, {gib(item.sizing.needed)} of "
        f"{gib(item.sizing.usable)}"
        for item in advice
    ]


def memory_reason(need: Needs, memory: float) -> str:
    """What the host's memory is enough for."""
    if memory and memory < need.memory_least:
        return f"a build holds {gib(need.memory_least)}; the host has {gib(memory)}"
    return f"about {gib(need.memory)} wanted (an estimate); the host has {gib(memory)}"
