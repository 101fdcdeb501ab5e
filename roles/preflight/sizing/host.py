"""What a host needs besides GPUs: memory to convert, build and load, and disk."""

from __future__ import annotations

from dataclasses import dataclass, replace

from roles.preflight.sizing.fit import DOES_NOT_FIT, FITS, TIGHT, Sizing, weight_bytes
from roles.preflight.sizing.model import Model
from roles.preflight.sizing.plan import GIB, Files, Plan

#: Beyond the engine's weights: its configuration, timing cache, tokenizer.
_ENGINE_EXTRA = 0.2 * GIB

#: What a loading process holds besides the weights on their way to the GPU.
_LOADER = 4 * GIB


@dataclass(frozen=True)
class Needs:
    """What a host needs, in bytes.

    Attributes:
        memory_least: below this it cannot work: the build holds the weights of one rank.
        memory: an estimate of what is wanted: to convert and build, twice the weights in 16
            bits; to load, the largest file and what the loader itself takes.
        model: disk for the model's files.
        checkpoint, engine: disk for what is made of them; 0 where nothing is.
    """

    memory_least: float
    memory: float
    model: float
    checkpoint: float
    engine: float


def needs(model: Model, files: Files, plan: Plan) -> Needs:
    """What converting, building and loading take of a host.

    That converting and building need twice the weights is a rule of thumb, and it agrees with
    triton_cli's README, which asks for 48 GB and more for 7 or 8 billion parameters, and with
    what people report as "Killed" (NVIDIA/TensorRT-LLM issues 102, 743, 1728, 2344, 2539).
    """
    one = replace(plan, tp_size=1, pp_size=1)
    whole = weight_bytes(model, one)
    full = weight_bytes(replace(model, file_bytes=0), replace(one, quantization="none")) or whole
    stored = files.weights or full
    total = max(files.total, stored)
    if plan.recipe == "engine":
        rank = weight_bytes(model, plan)
        ranks = plan.gpus
        return Needs(rank, 2 * full, total, rank * ranks, rank * ranks + _ENGINE_EXTRA)
    loads = files.largest or stored
    return Needs(0, min(stored, loads) + _LOADER, total, 0, 0)


def memory_verdict(need: Needs, memory: float) -> str:
    """Whether a host with so much memory (bytes; 0 is not known) can do it."""
    if memory and memory < need.memory_least:
        return DOES_NOT_FIT
    return TIGHT if not memory or memory < need.memory else FITS


def worst(sizing: Sizing, need: Needs, memory: float) -> str:
    """The worse of the two verdicts."""
    both = {sizing.verdict, memory_verdict(need, memory)}
    return next(verdict for verdict in (DOES_NOT_FIT, TIGHT, FITS) if verdict in both)
