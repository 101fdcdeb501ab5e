"""The engine's ``config.json``, in the shape of a TensorRT-LLM 0.9 engine's.

Same keys, same meaning, so that one check of limits (batch, length, beams) serves both engines.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from gguf_source import ModelShape
from requantise import Quantization
from tokenizer_files import SpecialTokens

KV_BLOCK_TOKENS = 32
"""Tokens in one block of the paged KV cache on a CPU (openvino-genai 2026.4)."""

ARCHITECTURE_NAMES = {"llama": "LlamaForCausalLM"}
_WEIGHT_ALGORITHM = {Quantization.Q8_0: "W8A16", Quantization.F16: None}


class Arithmetic(str, enum.Enum):
    """How the engine computes when it serves.

    EXACT: an answer is the same whatever else is in the batch. FAST: activations are quantised
    too, which gives about 1.8 times the tokens a second at eight clients, but a close decision
    between two tokens may fall differently in another batch.
    """

    EXACT = "exact"
    FAST = "fast"


@dataclass(frozen=True)
class Limits:
    """What the engine is built to serve.

    max_batch_size: sequences generated together. max_input_len: tokens of a prompt.
    max_seq_len: tokens of a prompt and its answer together. max_num_tokens: tokens of one forward
    pass over the whole batch. max_beam_width: beams of one request.
    """

    max_batch_size: int
    max_input_len: int
    max_seq_len: int
    max_num_tokens: int
    max_beam_width: int


def problems(limits: Limits, shape: ModelShape) -> list[str]:
    """What makes ``limits`` impossible for a model of ``shape``; empty if nothing does."""
    found = [
        f"{name} must be at least 1, not {value}"
        for name, value in vars(limits).items()
        if value < 1
    ]
    if limits.max_seq_len > shape.context_length:
        found.append(
            f"max_seq_len {limits.max_seq_len} is more than the model's context of "
            f"{shape.context_length} tokens"
        )
    if limits.max_input_len >= limits.max_seq_len:
        found.append(
            f"max_input_len {limits.max_input_len} leaves no room for an answer within "
            f"max_seq_len {limits.max_seq_len}"
        )
    if limits.max_num_tokens < limits.max_batch_size:
        found.append(
            f"max_num_tokens {limits.max_num_tokens} is less than max_batch_size "
            f"{limits.max_batch_size}: one token for each sequence would not fit"
        )
    return found


def engine_config(
    shape: ModelShape,
    limits: Limits,
    quantization: Quantization,
    arithmetic: Arithmetic,
    special: SpecialTokens,
    version: str,
) -> dict[str, Any]:
    """The content of ``config.json``. ``version`` is that of openvino-genai."""
    return {
        "version": version,
        "builder": "openvino-genai",
        "pretrained_config": {
            "architecture": ARCHITECTURE_NAMES[shape.architecture],
            "name": shape.name,
            "dtype": "float16",
            "vocab_size": shape.vocabulary,
            "hidden_size": shape.hidden,
            "intermediate_size": shape.feed_forward,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.kv_heads,
            "head_size": shape.head_size,
            "hidden_act": "silu",
            "norm_epsilon": shape.norm_epsilon,
            "position_embedding_type": "rope_gpt_neox",
            "rotary_base": shape.rope_base,
            "max_position_embeddings": shape.context_length,
            "bos_token_id": special.begin,
            "eos_token_id": special.end,
            "pad_token_id": special.padding,
            "quantization": {"quant_algo": _WEIGHT_ALGORITHM[quantization]},
            "mapping": {"world_size": 1, "tp_size": 1, "pp_size": 1},
        },
        "build_config": {
            "max_batch_size": limits.max_batch_size,
            "max_input_len": limits.max_input_len,
            "max_output_len": limits.max_seq_len - 1,
            "max_seq_len": limits.max_seq_len,
            "max_num_tokens": limits.max_num_tokens,
            "max_beam_width": limits.max_beam_width,
            "plugin_config": {
                "paged_kv_cache": True,
                "tokens_per_block": KV_BLOCK_TOKENS,
                "arithmetic": arithmetic.value,
            },
        },
    }
