"""A model small enough for tests: the Llama architecture, random weights, a real tokenizer."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Mapping, Sequence

#: Hidden size, layers, heads, KV heads, intermediate size, vocabulary.
_CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 32,
    "vocab_size": 260,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-05,
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
    "bos_token_id": 256,
    "eos_token_id": 257,
}


def files(shards: int = 2, padding: int = 0, seed: int = 1) -> dict[str, bytes]:
    """The files of the model by path, its weights in ``shards`` files.

    ``padding`` bytes make up one more tensor in the last shard, for tests of large files.
    """
    tensors = _tensors(random.Random(seed))
    if padding:
        tensors["padding"] = ((padding,), random.Random(seed).randbytes(padding))
    names = list(tensors)
    parts = [names[number::shards] for number in range(shards)]
    found = {
        "config.json": _json(_CONFIG),
        "generation_config.json": _json({"bos_token_id": 256, "eos_token_id": 257}),
        "tokenizer.json": _json(_tokenizer()),
        "tokenizer_config.json": _json(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "bos_token": "<s>",
                "eos_token": "</s>",
                "pad_token": "<pad>",
            }
        ),
        "README.md": b"# tiny\n",
    }
    if shards == 1:
        return {**found, "model.safetensors": _safetensors(tensors, names)}
    shard = {
        number: f"model-{number + 1:05}-of-{shards:05}.safetensors" for number in range(shards)
    }
    weight_map = {name: shard[number] for number, part in enumerate(parts) for name in part}
    size = sum(len(data) for _, data in tensors.values())
    index = {"metadata": {"total_size": size}, "weight_map": weight_map}
    return {
        **found,
        "model.safetensors.index.json": _json(index),
        **{shard[number]: _safetensors(tensors, part) for number, part in enumerate(parts)},
    }


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1).encode()


Tensor = tuple[tuple[int, ...], bytes]


def _tensors(chance: random.Random) -> dict[str, Tensor]:
    hidden, inner, vocabulary, kv = 16, 32, 260, 8
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, hidden)}
    for layer in range(2):
        at = f"model.layers.{layer}"
        shapes |= {
            f"{at}.self_attn.q_proj.weight": (hidden, hidden),
            f"{at}.self_attn.k_proj.weight": (kv, hidden),
            f"{at}.self_attn.v_proj.weight": (kv, hidden),
            f"{at}.self_attn.o_proj.weight": (hidden, hidden),
            f"{at}.mlp.gate_proj.weight": (inner, hidden),
            f"{at}.mlp.up_proj.weight": (inner, hidden),
            f"{at}.mlp.down_proj.weight": (hidden, inner),
            f"{at}.input_layernorm.weight": (hidden,),
            f"{at}.post_attention_layernorm.weight": (hidden,),
        }
    shapes |= {"model.norm.weight": (hidden,), "lm_head.weight": (vocabulary, hidden)}
    return {name: (shape, _floats(shape, chance)) for name, shape in shapes.items()}


def _floats(shape: Sequence[int], chance: random.Random) -> bytes:
    count = 1
    for extent in shape:
        count *= extent
    return struct.pack(f"<{count}f", *(chance.uniform(-0.1, 0.1) for _ in range(count)))


def _safetensors(tensors: Mapping[str, Tensor], names: Sequence[str]) -> bytes:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name in names:
        shape, data = tensors[name]
        kind = "U8" if name == "padding" else "F32"
        span = [len(body), len(body) + len(data)]
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": span}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def _tokenizer() -> dict[str, object]:
    """Bytes as tokens, without merges: what ByteLevel makes of them, and three of its own."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in printable}
    other = (byte for byte in range(256) if byte not in letters)
    letters |= {byte: chr(256 + number) for number, byte in enumerate(other)}
    vocabulary = {letter: byte for byte, letter in sorted(letters.items())}
    special = {"<s>": 256, "</s>": 257, "<pad>": 258}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": number,
                "content": text,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for text, number in special.items()
        ],
        "normalizer": None,
        "pre_tokenizer": {**byte_level, "use_regex": True},
        "post_processor": None,
        "decoder": {**byte_level, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {**vocabulary, **special},
            "merges": [],
        },
    }
