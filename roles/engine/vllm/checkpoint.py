"""A GGUF model as a Hugging Face checkpoint: safetensors and the config.json of transformers.

Names and shapes are those of transformers' LlamaForCausalLM. The rows of the query and key
matrices are reordered: a GGUF holds them as llama.cpp rotates them (pairs side by side, as its
convert_hf_to_gguf.py writes them, ``LlamaModel.permute``), transformers as two halves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
from errors import BuildError
from gguf_source import ModelShape, Source
from progress import Progress
from safetensors.numpy import save_file
from tokenizer_files import special_tokens

FloatArray = npt.NDArray[np.float32]

_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_OTHER_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_DERIVED = ("rope_freqs.weight",)
"""Tensors that llama.cpp computes from the configuration."""


def write_checkpoint(source: Source, directory: Path) -> None:
    """Write ``model.safetensors`` (float16) and ``config.json`` into ``directory``.

    Raises ``BuildError`` for a tensor that has no place in the architecture.
    """
    tensors: dict[str, npt.NDArray[np.float16]] = {}
    progress = Progress("converting", total=len(source.reader.tensors), unit="tensors")
    for tensor in source.reader.tensors:
        if tensor.name not in _DERIVED:
            values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            name = checkpoint_name(tensor.name)
            tensors[name] = _as_transformers(tensor.name, values, source.shape).astype(np.float16)
        progress.advance()
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    config = checkpoint_config(source, tied="lm_head.weight" not in tensors)
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def checkpoint_name(name: str) -> str:
    """What transformers calls the GGUF's tensor ``name``."""
    if name in _OTHER_NAMES:
        return _OTHER_NAMES[name]
    parts = name.split(".")
    if len(parts) == 4 and parts[0] == "blk" and parts[2] in _LAYER_NAMES and parts[3] == "weight":
        return f"model.layers.{parts[1]}.{_LAYER_NAMES[parts[2]]}.weight"
    raise BuildError(f"tensor {name!r} has no place in a checkpoint of this architecture")


def checkpoint_config(source: Source, *, tied: bool) -> dict[str, Any]:
    """The ``config.json`` that transformers and vLLM read."""
    shape, special = source.shape, special_tokens(source)
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "torch_dtype": "float16",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_size,
        "hidden_act": "silu",
        "rms_norm_eps": shape.norm_epsilon,
        "rope_theta": shape.rope_base,
        "max_position_embeddings": shape.context_length,
        "tie_word_embeddings": tied,
        "bos_token_id": special.begin,
        "eos_token_id": special.end,
        "pad_token_id": special.padding,
    }


def _as_transformers(name: str, values: FloatArray, shape: ModelShape) -> FloatArray:
    if name.endswith("attn_q.weight"):
        return halves(values, shape.heads)
    if name.endswith("attn_k.weight"):
        return halves(values, shape.kv_heads)
    return values


def halves(rows: FloatArray, heads: int) -> FloatArray:
    """Reorder the rows of each head from pairs side by side to two halves."""
    pairs = rows.shape[0] // heads // 2
    return rows.reshape(heads, pairs, 2, -1).swapaxes(1, 2).reshape(rows.shape)
