"""Whether a model fits the GPUs, and the figures that say so.

Weights and KV cache are computed. Activations, CUDA's own memory and Triton's pool are
estimates, and called so: there is no closed formula for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from roles.preflight.sizing.model import Model
from roles.preflight.sizing.plan import GIB, MIB, Gpus, Plan
from roles.preflight.sizing.quantization import DTYPES, KV_DTYPES, Quantization, named

#: The verdicts, the best first.
FITS, TIGHT, DOES_NOT_FIT = VERDICTS = ("fits", "tight", "does not fit")

#: Beyond this part of a GPU's memory nothing is sure: the driver keeps some for itself.
LIMIT = 0.95

#: The least that activations are taken to need. TensorRT-LLM's docs/source/reference/memory.md
#: logs 1134 MiB of execution context and 43 + 180 MiB of buffers for an engine of 6695 MiB.
ACTIVATIONS_LEAST = 1.5 * GIB

#: CUDA's context and libraries in each process: 0.5 to 1 GiB, an observation.
CUDA_CONTEXT = 1 * GIB

#: Triton's pool on each GPU (``--cuda-memory-pool-byte-size``, by default 64 MiB).
TRITON_POOL = 64 * MIB

#: Tokens of a pass where the settings name none: TensorRT-LLM's default from 0.11 on.
NUM_TOKENS = 8192


@dataclass(frozen=True)
class Sizing:
    """The figures of one plan, in bytes for each GPU.

    Attributes:
        kv_token: of one token in every layer of this GPU.
        kv_sequence: of one request of full length, all beams.
        kv_batch: of ``max_batch_size`` such requests, or of as many tokens as were allowed.
        sequences: requests of full length that the KV cache holds at once, with the estimates
            taken off; -1 where the GPU's memory is not known.
        problems: what cannot be, whatever the memory.
        remarks: what makes the figures uncertain.
    """

    plan: Plan
    dtype: str
    kv_dtype: str
    quantization: str
    seq_len: int
    weights: float
    kv_token: float
    kv_sequence: float
    kv_batch: float
    activations: float
    runtime: float
    total: float
    sequences: int
    problems: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def needed(self) -> float:
        """All of it, with every sequence of the batch at full length."""
        return self.weights + self.kv_batch + self.activations + self.runtime

    @property
    def least(self) -> float:
        """Weights and one sequence: below that nothing can be served."""
        return self.weights + self.kv_sequence

    @property
    def usable(self) -> float:
        """What of a GPU's memory is counted on."""
        return self.total * LIMIT

    @property
    def verdict(self) -> str:
        """``fits``, ``tight`` or ``does not fit``."""
        if self.problems or (self.total and self.least > self.usable):
            return DOES_NOT_FIT
        if not self.total or not self.weights or self.needed > self.usable:
            return TIGHT
        return FITS


def weight_bytes(model: Model, plan: Plan) -> float:
    """The weights of the GPU that has most of them.

    Linear layers are divided by tensor and pipeline parallelism; keys and values by heads, of
    which every GPU has at least one. Where the embedding is not divided, each GPU of the first
    stage holds it whole.
    """
    held, size = _held(model, plan), DTYPES[weight_dtype(model, plan)]
    if not model.linears:
        return model.file_bytes * _shrunk(model, plan) / plan.gpus
    stage = ceil(model.layers / plan.pp_size) / model.layers
    layers = 0.0
    for linear in model.linears:
        share = _kv_share(model, plan) if linear.kv else 1 / plan.tp_size
        layers += held.linear_bytes(linear.inputs, linear.outputs, size) * linear.count * share
    layers = (layers + model.other * size) * stage
    embedding = model.embedding * size / (plan.tp_size if plan.split_embedding else 1)
    head = model.head * size / plan.tp_size
    if plan.pp_size > 1:
        computed = layers + max(embedding, head or embedding)
    else:
        computed = layers + embedding + head
    return max(computed, _beyond_the_language_model(model, plan, computed))


def _beyond_the_language_model(model: Model, plan: Plan, computed: float) -> float:
    """The size by the files, where they hold more than the layers that were counted."""
    if model.file_bytes and model.notes and _held(model, plan) == model.quantization:
        return max(computed, model.file_bytes / plan.gpus)
    return computed


def _kv_share(model: Model, plan: Plan) -> float:
    return ceil(model.kv_heads / plan.tp_size) / model.kv_heads


def _held(model: Model, plan: Plan) -> Quantization:
    """How the linear layers are held: as asked for, else as the checkpoint has them."""
    asked = named(plan.quantization, plan.group_size)
    return asked if asked.bits else model.quantization


def weight_dtype(model: Model, plan: Plan) -> str:
    """The type of what is not quantised, embeddings for one."""
    name = model.dtype if plan.dtype == "auto" else plan.dtype
    return name if name in DTYPES else "float16"


def _shrunk(model: Model, plan: Plan) -> float:
    """How much smaller than its files a model of unknown layers gets by a quantization."""
    asked = named(plan.quantization, plan.group_size)
    if not asked.bits:
        return 1.0
    stored = model.quantization.bits or 8 * DTYPES.get(model.dtype, 2.0)
    return min(1.0, asked.bits / stored)


def kv_dtype(model: Model, plan: Plan) -> str:
    """What the KV cache is held in."""
    if plan.kv_dtype not in {"auto", ""}:
        return plan.kv_dtype
    return model.kv_dtype or weight_dtype(model, plan)


def kv_token_bytes(model: Model, plan: Plan) -> float:
    """KV cache of one token on one GPU: all layers of its stage."""
    each = model.latent or 2 * ceil(model.kv_heads / plan.tp_size) * model.head_dim
    return ceil(model.layers / plan.pp_size) * each * KV_DTYPES[kv_dtype(model, plan)]


def kv_sequence_bytes(model: Model, plan: Plan, tokens: int) -> float:
    """KV cache of one sequence, in whole blocks; a layer with a window keeps no more than it."""

    def blocks(count: int) -> int:
        return ceil(count / plan.tokens_per_block) * plan.tokens_per_block

    whole = kv_token_bytes(model, plan)
    if not model.windowed or not model.layers:
        return whole * blocks(tokens)
    part = model.windowed / model.layers
    return whole * ((1 - part) * blocks(tokens) + part * blocks(min(tokens, model.window)))


def activation_bytes(model: Model, plan: Plan, seq_len: int) -> float:
    """An estimate: linear in the tokens of a pass, plus the logits, but at least what is known."""
    default = max(NUM_TOKENS, plan.max_batch_size)
    tokens = plan.max_num_tokens or min(default, plan.max_batch_size * max(seq_len, 1))
    width = 6 * model.hidden + model.wide / plan.tp_size
    logits = plan.max_batch_size * plan.max_beam_width * model.vocab * 4
    return max(ACTIVATIONS_LEAST, tokens * width * 2 + logits)


def size(model: Model, plan: Plan, gpus: Gpus) -> Sizing:
    """The figures and the verdict of a plan.

    Raises:
        ValueError: the plan names a quantization or a type that is not known.
    """
    kind = kv_dtype(model, plan)
    if kind not in KV_DTYPES:
        raise ValueError(f"KV cache type {kind!r} is not one of {', '.join(KV_DTYPES)}")
    seq_len = plan.max_seq_len or model.max_positions
    sequence = plan.max_beam_width * kv_sequence_bytes(model, plan, seq_len)
    batch = plan.max_batch_size * sequence
    token = kv_token_bytes(model, plan)
    if plan.max_tokens_in_paged_kv_cache:
        batch = min(batch, plan.max_tokens_in_paged_kv_cache * token)
    weights = weight_bytes(model, plan)
    activations = activation_bytes(model, plan, seq_len)
    runtime = CUDA_CONTEXT + TRITON_POOL
    total = gpus.memory_mib * MIB
    sequences = -1
    if total and sequence:
        free = max(0.0, total * LIMIT - weights - activations - runtime)
        pool = min(free, batch) if plan.max_tokens_in_paged_kv_cache else free
        sequences = int(pool // sequence)
    return Sizing(
        plan,
        weight_dtype(model, plan),
        kind,
        _held(model, plan).name,
        seq_len,
        weights,
        token,
        sequence,
        batch,
        activations,
        runtime,
        total,
        sequences,
        tuple(problems(model, plan, gpus, seq_len)),
        model.notes,
    )


def kv_tokens(sizing: Sizing, free_bytes: float) -> int:
    """Tokens that the KV cache gets of ``free_bytes`` that are free once the weights are loaded."""
    tokens = int(sizing.plan.kv_fraction * free_bytes // sizing.kv_token)
    allowed = sizing.plan.max_tokens_in_paged_kv_cache
    return min(tokens, allowed) if allowed else tokens


def least_kv_tokens(plan: Plan, seq_len: int) -> int:
    """Tokens below which the server refuses to start: one sequence of full length.

    TensorRT-LLM: ``maxTokensInPagedKvCache must be large enough to process at least 1 sequence``
    """
    return plan.max_beam_width * ceil(seq_len / plan.tokens_per_block) * plan.tokens_per_block


def problems(model: Model, plan: Plan, gpus: Gpus, seq_len: int) -> list[str]:
    """What cannot be, whatever the memory; of a model without layers, what the plan says alone."""
    found: list[str] = []
    if plan.gpus > max(gpus.count, 1) or (gpus.mig and plan.gpus > 1):
        have = f"MIG instances {gpus.mig}" if gpus.mig else f"{gpus.count} GPUs"
        why = ", of which a process sees one" if gpus.mig else ""
        found.append(
            f"{plan.name('tp_size')} x {plan.name('pp_size')} = {plan.gpus} GPUs are asked for; "
            f"there are {have}{why}"
        )
    if model.heads and model.heads % plan.tp_size:
        found.append(
            f"{plan.name('tp_size')}={plan.tp_size} does not divide the model's "
            f"{model.heads} attention heads"
        )
    if model.layers and plan.pp_size > model.layers:
        found.append(f"{plan.name('pp_size')}={plan.pp_size}: there are {model.layers} layers")
    allowed, least = plan.max_tokens_in_paged_kv_cache, least_kv_tokens(plan, seq_len)
    if allowed and allowed < least:
        found.append(
            f"{plan.name('max_tokens_in_paged_kv_cache')}={allowed} is less than the {least} "
            "tokens of one sequence"
        )
    return [*found, *_not_computed(model, plan, gpus)]


def _not_computed(model: Model, plan: Plan, gpus: Gpus) -> list[str]:
    """Arithmetic that these GPUs do not have."""
    found: list[str] = []
    if not gpus.capability:
        return found
    have = f"{gpus.capability / 10:.1f}"
    if weight_dtype(model, plan) == "bfloat16" and gpus.capability < 80:
        found.append(
            f"{plan.name('dtype')}: bfloat16 needs compute capability 8.0; the GPU has {have}"
        )
    held = _held(model, plan)
    needed = weights_capability(plan, held)
    if needed > gpus.capability:
        found.append(
            f"{plan.name('quantization')}: {held.name} needs compute capability "
            f"{needed / 10:.1f}; the GPU has {have}"
        )
    kind = kv_dtype(model, plan)
    needed = kv_capability(plan, kind)
    if needed > gpus.capability:
        found.append(
            f"{plan.name('kv_dtype')}: {kind} needs compute capability {needed / 10:.1f}; the "
            f"GPU has {have}"
        )
    return found


def weights_capability(plan: Plan, held: Quantization) -> int:
    """The compute capability, times ten, that weights held so need.

    vLLM stores in fp8 what older GPUs compute in 16 bits: its documentation, "FP8 W8A8".
    """
    return min(held.capability, 80) if plan.recipe == "vllm" else held.capability


def kv_capability(plan: Plan, kind: str) -> int:
    """The compute capability, times ten, that a KV cache of this type needs."""
    return {"fp8": 80 if plan.recipe == "vllm" else 89, "nvfp4": 100}.get(kind, 0)
