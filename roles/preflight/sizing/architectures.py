"""From config.json to the sizes of a model's layers, for the architectures that are deployed.

Each is counted as its implementation in transformers 4.57 lays it out; the tests compare the
sums with the published ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from roles.preflight.sizing.model import Linear, Model
from roles.preflight.sizing.quantization import kv_of_checkpoint, of_checkpoint

if TYPE_CHECKING:
    Config = Mapping[str, Any]

#: What Gemma3TextConfig takes for what a nested ``text_config`` leaves out.
_GEMMA3 = {
    "vocab_size": 262208,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "sliding_window": 4096,
    "sliding_window_pattern": 6,
    "tie_word_embeddings": True,
}


class UnknownConfigError(ValueError):
    """A config.json that lacks what sizes are made of."""


def read(config: Config, file_bytes: int = 0) -> Model:
    """The model that a config.json describes; ``file_bytes`` is the sum of its weight files.

    An architecture that is not known has no layers, says so in its notes, and is as large as
    its files.
    """
    name, inner, notes = _language_part(config)
    family = name if name in _FAMILIES else _BY_TYPE.get(str(inner.get("model_type")), name)
    try:
        model = _FAMILIES[family](inner) if family in _FAMILIES else _unknown(name, inner)
    except UnknownConfigError as error:
        model = replace(_unknown(name, inner), notes=(str(error),))
    model = replace(
        model,
        architecture=name,
        file_bytes=file_bytes,
        dtype=_dtype(config, inner),
        notes=(*model.notes, *notes),
    )
    return _with_quantization(model, config.get("quantization_config"))


def _language_part(config: Config) -> tuple[str, Config, tuple[str, ...]]:
    """The architecture, the part of the configuration that is a language model, and notes."""
    names = config.get("architectures") or [str(config.get("model_type", "without a name"))]
    name = str(names[0])
    inner = config.get("text_config")
    if not isinstance(inner, Mapping):
        return name, config, ()
    inner = {**(_GEMMA3 if name.startswith("Gemma3") else {}), **inner}
    inner.setdefault("tie_word_embeddings", config.get("tie_word_embeddings", False))
    note = "the parts that are no language model count only by the size of the files"
    return name, inner, (note,)


def _dtype(config: Config, inner: Config) -> str:
    for source in (config, inner):
        value = source.get("torch_dtype") or source.get("dtype")
        if isinstance(value, str) and value:
            return value.rpartition(".")[2]
    return "float16"


def _with_quantization(model: Model, config: object) -> Model:
    if not isinstance(config, Mapping):
        return model
    kv_dtype = kv_of_checkpoint(config) or ""
    try:
        held = of_checkpoint(config)
    except ValueError as error:
        note = f"{error}; its weights are counted as the files hold them"
        return replace(model, linears=(), kv_dtype=kv_dtype, notes=(*model.notes, note))
    return replace(model, quantization=held, kv_dtype=kv_dtype)


@dataclass(frozen=True)
class _Shape:
    """The numbers that nearly all have, under whatever name."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    positions: int


def _number(config: Config, *names: str, default: int | None = None) -> int:
    for name in names:
        value = config.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return int(value)
    if default is None:
        raise UnknownConfigError(f"config.json has no {names[0]}")
    return default


def _shape(config: Config) -> _Shape:
    hidden = _number(config, "hidden_size", "n_embd", "d_model")
    heads = _number(config, "num_attention_heads", "n_head", "n_heads")
    return _Shape(
        hidden,
        _number(config, "num_hidden_layers", "n_layer", "n_layers"),
        heads,
        _number(config, "num_key_value_heads", "num_kv_heads", "n_head_kv", default=heads),
        _number(config, "head_dim", default=hidden // max(heads, 1)),
        _number(config, "intermediate_size", "n_inner", "ffn_hidden_size", default=4 * hidden),
        _number(config, "vocab_size", default=0),
        _number(config, "max_position_embeddings", "n_positions", "max_seq_len", default=0),
    )


def _base(shape: _Shape) -> Model:
    return Model(
        architecture="",
        layers=shape.layers,
        hidden=shape.hidden,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        vocab=shape.vocab,
        max_positions=shape.positions,
        wide=3 * shape.intermediate,
    )


def _unknown(name: str, config: Config) -> Model:
    note = f"{name} is not an architecture known here: as large as its files"
    try:
        shape = _shape(config)
    except UnknownConfigError:
        return Model(name, notes=(f"{note}; its KV cache is not known",))
    return replace(
        _base(shape), notes=(f"{note}; its KV cache as of one key and value for each KV head",)
    )


def _attention(shape: _Shape) -> tuple[Linear, ...]:
    inner = shape.heads * shape.head_dim
    return (
        Linear(shape.hidden, inner, shape.layers),
        Linear(shape.hidden, shape.kv_heads * shape.head_dim, 2 * shape.layers, kv=True),
        Linear(inner, shape.hidden, shape.layers),
    )


def _gated(shape: _Shape, intermediate: int, count: int) -> tuple[Linear, ...]:
    """``count`` gated feed-forward blocks: gate and up, and down."""
    return (
        Linear(shape.hidden, intermediate, 2 * count),
        Linear(intermediate, shape.hidden, count),
    )


def _window(config: Config, layers: int) -> tuple[int, int]:
    """The sliding window, and how many layers have it."""
    window = config.get("sliding_window")
    if not isinstance(window, int) or config.get("use_sliding_window") is False:
        return 0, 0
    types = config.get("layer_types")
    if isinstance(types, list):
        return window, sum(kind == "sliding_attention" for kind in types)
    pattern = config.get("sliding_window_pattern")
    if isinstance(pattern, int) and pattern > 1:
        return window, layers - layers // pattern
    return window, layers


def _llama_like(
    config: Config,
    *,
    qkv_bias: bool = False,
    head_norms: bool = False,
    norms: int = 2,
    tied: bool = False,
    feed_forward: tuple[tuple[Linear, ...], int, int] | None = None,
) -> Model:
    """RMS norms, rotary positions, grouped attention, a gated feed-forward.

    ``feed_forward`` stands in for the dense one: its linear layers, further elements that no
    quantization touches, and its widest value.
    """
    shape = _shape(config)
    linears, other, wide = feed_forward or (
        _gated(shape, shape.intermediate, shape.layers),
        _feed_forward_bias(config, shape),
        3 * shape.intermediate,
    )
    other += shape.layers * norms * shape.hidden + shape.hidden
    keys_and_queries = (shape.heads + 2 * shape.kv_heads) * shape.head_dim
    if qkv_bias or config.get("attention_bias"):
        other += shape.layers * keys_and_queries
    if config.get("attention_bias") and not qkv_bias:
        other += shape.layers * shape.hidden
    if head_norms:
        other += shape.layers * 2 * shape.head_dim
    embedding = shape.vocab * shape.hidden
    window, windowed = _window(config, shape.layers)
    return replace(
        _base(shape),
        linears=(*_attention(shape), *linears),
        embedding=embedding,
        head=0 if config.get("tie_word_embeddings", tied) else embedding,
        other=other,
        wide=wide,
        window=window,
        windowed=windowed,
    )


def _feed_forward_bias(config: Config, shape: _Shape) -> int:
    per_layer = 2 * shape.intermediate + shape.hidden if config.get("mlp_bias") else 0
    return shape.layers * per_layer


def _mixtral(config: Config) -> Model:
    shape = _shape(config)
    experts = _number(config, "num_local_experts")
    used = _number(config, "num_experts_per_tok", default=2)
    return _llama_like(
        config,
        feed_forward=(
            _gated(shape, shape.intermediate, experts * shape.layers),
            shape.layers * shape.hidden * experts,
            3 * used * shape.intermediate,
        ),
    )


def _qwen_moe(config: Config, *, shared: bool) -> Model:
    shape = _shape(config)
    experts, each = _number(config, "num_experts"), _number(config, "moe_intermediate_size")
    dense = set(config.get("mlp_only_layers") or ())
    step = _number(config, "decoder_sparse_step", default=1)
    sparse = sum(index not in dense and (index + 1) % step == 0 for index in range(shape.layers))
    linears = (
        *_gated(shape, shape.intermediate, shape.layers - sparse),
        *_gated(shape, each, experts * sparse),
    )
    other = sparse * shape.hidden * experts
    wide = 3 * _number(config, "num_experts_per_tok", default=1) * each
    if shared:
        common = _number(config, "shared_expert_intermediate_size")
        linears += _gated(shape, common, sparse)
        other += sparse * shape.hidden
        wide += 3 * common
    return _llama_like(
        config, qkv_bias=shared, head_norms=not shared, feed_forward=(linears, other, wide)
    )


def _gemma2(config: Config) -> Model:
    config = {"sliding_window_pattern": 2, **config}  # every other layer
    return _llama_like(config, norms=4, tied=True)


def _gemma3(config: Config) -> Model:
    config = {"sliding_window_pattern": 6, **config}  # five local layers, then a global one
    return _llama_like(config, norms=4, head_norms=True, tied=True)


def _deepseek(config: Config) -> Model:
    """DeepSeek V2 and V3: latent attention; fine-grained experts after some dense layers.

    What predicts further tokens (``num_nextn_predict_layers``) is not counted: it is not loaded
    to serve.
    """
    shape = _shape(config)
    rope, nope = _number(config, "qk_rope_head_dim"), _number(config, "qk_nope_head_dim")
    latent, value = _number(config, "kv_lora_rank"), _number(config, "v_head_dim")
    low_rank = _number(config, "q_lora_rank", default=0)
    heads, layers, hidden = shape.heads, shape.layers, shape.hidden
    query = heads * (nope + rope)
    linears = (
        *(
            (Linear(hidden, low_rank, layers), Linear(low_rank, query, layers))
            if low_rank
            else (Linear(hidden, query, layers),)
        ),
        Linear(hidden, latent + rope, layers),
        Linear(latent, heads * (nope + value), layers),
        Linear(heads * value, hidden, layers),
    )
    experts = _number(config, "n_routed_experts", default=0)
    each = _number(config, "moe_intermediate_size", default=0)
    common = each * _number(config, "n_shared_experts", default=0)
    dense = min(_number(config, "first_k_dense_replace", default=0), layers) if experts else layers
    sparse = layers - dense
    linears += (
        *_gated(shape, shape.intermediate, dense),
        *_gated(shape, each, experts * sparse),
        *_gated(shape, common, sparse),
    )
    other = sparse * hidden * experts + layers * (2 * hidden + latent + low_rank) + hidden
    if config.get("topk_method") == "noaux_tc":
        other += sparse * experts
    embedding = shape.vocab * hidden
    used = _number(config, "num_experts_per_tok", default=0)
    return replace(
        _base(shape),
        linears=linears,
        embedding=embedding,
        head=0 if config.get("tie_word_embeddings") else embedding,
        other=other,
        wide=3 * max(shape.intermediate, used * each + common),
        latent=latent + rope,
    )


def _two_matrices(shape: _Shape) -> Model:
    """A model whose feed-forward part is two matrices, without a gate."""
    hidden, inner = shape.hidden, shape.intermediate
    return replace(
        _base(shape),
        linears=(
            *_attention(shape),
            Linear(hidden, inner, shape.layers),
            Linear(inner, hidden, shape.layers),
        ),
        embedding=shape.vocab * hidden,
        wide=2 * inner,
    )


def _neox(config: Config) -> Model:
    shape = _shape(config)
    hidden, inner = shape.hidden, shape.intermediate
    embedding = shape.vocab * hidden
    biases = 3 * hidden + hidden + inner + hidden if config.get("attention_bias", True) else 0
    return replace(
        _two_matrices(shape),
        head=0 if config.get("tie_word_embeddings") else embedding,
        other=shape.layers * (biases + 4 * hidden) + 2 * hidden,
    )


def _gptj(config: Config) -> Model:
    shape = _shape(config)
    hidden, inner = shape.hidden, shape.intermediate
    embedding = shape.vocab * hidden
    return replace(
        _two_matrices(shape),
        head=embedding,
        other=shape.layers * (inner + 3 * hidden) + 2 * hidden + shape.vocab,
    )


def _falcon(config: Config) -> Model:
    """Falcon; its files hold the head as well, though transformers ties it."""
    shape = _shape(config)
    hidden, inner = shape.hidden, shape.intermediate
    new = bool(config.get("new_decoder_architecture"))
    if not new:
        kv_heads = 1 if config.get("multi_query", True) else shape.heads
        shape = replace(shape, kv_heads=kv_heads)
    one_norm = not new and config.get("parallel_attn", True)
    norms = 2 * hidden if one_norm else 4 * hidden
    keys_and_queries = (shape.heads + 2 * shape.kv_heads) * shape.head_dim
    biases = keys_and_queries + hidden + inner + hidden if config.get("bias") else 0
    embedding = shape.vocab * hidden
    return replace(
        _two_matrices(shape),
        head=0 if config.get("tie_word_embeddings") else embedding,
        other=shape.layers * (norms + biases) + 2 * hidden,
    )


def _llama(config: Config) -> Model:
    return _llama_like(config)


def _qwen2(config: Config) -> Model:
    return _llama_like(config, qkv_bias=True)


def _qwen3(config: Config) -> Model:
    return _llama_like(config, head_norms=True)


def _gemma(config: Config) -> Model:
    return _llama_like(config, tied=True)


def _qwen2_moe(config: Config) -> Model:
    return _qwen_moe(config, shared=True)


def _qwen3_moe(config: Config) -> Model:
    return _qwen_moe(config, shared=False)


_FAMILIES: dict[str, Callable[[Config], Model]] = {
    "LlamaForCausalLM": _llama,
    "MistralForCausalLM": _llama,
    "Phi3ForCausalLM": _llama,
    "MixtralForCausalLM": _mixtral,
    "Qwen2ForCausalLM": _qwen2,
    "Qwen2MoeForCausalLM": _qwen2_moe,
    "Qwen3ForCausalLM": _qwen3,
    "Qwen3MoeForCausalLM": _qwen3_moe,
    "GemmaForCausalLM": _gemma,
    "Gemma2ForCausalLM": _gemma2,
    "Gemma3ForCausalLM": _gemma3,
    "Gemma3ForConditionalGeneration": _gemma3,
    "DeepseekV2ForCausalLM": _deepseek,
    "DeepseekV3ForCausalLM": _deepseek,
    "GPTNeoXForCausalLM": _neox,
    "GPTJForCausalLM": _gptj,
    "FalconForCausalLM": _falcon,
}

#: The same by ``model_type``, for language models that are part of another architecture.
_BY_TYPE = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "mixtral": "MixtralForCausalLM",
    "phi3": "Phi3ForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen2_5_vl_text": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "qwen3_vl_text": "Qwen3ForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
    "qwen3_vl_moe_text": "Qwen3MoeForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM",
    "deepseek_v3": "DeepseekV3ForCausalLM",
}

#: The architectures whose parameters are counted.
KNOWN = tuple(_FAMILIES)
