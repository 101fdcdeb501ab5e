#!/usr/bin/env python3
"""Computes what a Llama model must answer, with numpy alone, from the weights of its GGUF.

The result, ``reference.json``, is what the built engine is compared with. It does not depend on
the engine: weights are de-quantised by the ``gguf`` package and the forward pass is written out
here, in float32. Run with the serving environment's python; about a minute for SmolLM2-135M:

    python make_reference.py --gguf MODEL.gguf --tokenizer ENGINE/tokenizer.json

The tokenizer only turns the prompts into ids, which are stored, so a fault in it would be seen.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

Array = npt.NDArray[np.float32]

HERE = Path(__file__).resolve().parent
GREEDY_TOKENS = 32
PROMPTS = (
    "What is machine learning?",
    "The capital of France is",
    "<|im_start|>user\nWhat is gravity?<|im_end|>\n<|im_start|>assistant\n",
    "def fibonacci(n):\n",
)
TEXT = (
    "The water cycle describes the continuous movement of water on, above and below the surface "
    "of the Earth. Water evaporates from oceans, lakes and rivers, rises as vapour, cools, and "
    "condenses into clouds. When the droplets in a cloud grow heavy enough, they fall as rain or "
    "snow. Some of it runs off into streams and returns to the sea; some of it soaks into the "
    "ground, where plants take it up through their roots. Plants give most of this water back to "
    "the air through their leaves. Because the same water moves through the cycle again and "
    "again, the total amount on the planet stays nearly constant. People depend on the cycle for "
    "drinking water, for growing food and for power, and they change it too: cities seal the soil, "
    "dams hold rivers back, and a warmer climate makes both droughts and heavy rain more common. "
    "In 1674, Pierre Perrault measured rain and river flow in the basin of the Seine and found "
    "that there was about six times as much rain as was needed to explain the flow."
)


@dataclass(frozen=True)
class Shape:
    """The sizes that the forward pass needs."""

    layers: int
    heads: int
    kv_heads: int
    head_size: int
    rope_base: float
    epsilon: float


class Llama:
    """A Llama model in float32: RMS norm, rotary positions, grouped attention, SwiGLU."""

    def __init__(self, path: Path) -> None:
        reader = gguf.GGUFReader(path)

        def value(key: str) -> Any:
            field = reader.get_field(key)
            assert field is not None, f"{key} is missing"
            return field.contents()

        heads = value("llama.attention.head_count")
        self.shape = Shape(
            layers=value("llama.block_count"),
            heads=heads,
            kv_heads=value("llama.attention.head_count_kv"),
            head_size=value("llama.embedding_length") // heads,
            rope_base=value("llama.rope.freq_base"),
            epsilon=value("llama.attention.layer_norm_rms_epsilon"),
        )
        self.weights: dict[str, Array] = {
            tensor.name: np.asarray(
                gguf.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32
            )
            for tensor in reader.tensors
        }
        self.keys: list[Array] = []
        self.values: list[Array] = []
        self.reset()

    def reset(self) -> None:
        """Forget all tokens so far."""
        empty = np.zeros((self.shape.kv_heads, 0, self.shape.head_size), dtype=np.float32)
        self.keys = [empty] * self.shape.layers
        self.values = [empty] * self.shape.layers

    def logits(self, tokens: list[int]) -> Array:
        """Logits after each of ``tokens``, which continue the tokens so far; shape (n, vocab)."""
        embeddings = self.weights["token_embd.weight"]
        hidden = embeddings[tokens]
        start = self.keys[0].shape[1]
        positions = np.arange(start, start + len(tokens))
        for layer in range(self.shape.layers):
            hidden = hidden + self._attention(layer, self._norm(hidden, layer, "attn"), positions)
            hidden = hidden + self._feed_forward(layer, self._norm(hidden, layer, "ffn"))
        hidden = _rms_norm(hidden, self.weights["output_norm.weight"], self.shape.epsilon)
        return np.asarray(hidden @ self.weights.get("output.weight", embeddings).T)

    def _norm(self, hidden: Array, layer: int, part: str) -> Array:
        weight = self.weights[f"blk.{layer}.{part}_norm.weight"]
        return _rms_norm(hidden, weight, self.shape.epsilon)

    def _project(self, layer: int, part: str, hidden: Array) -> Array:
        return np.asarray(hidden @ self.weights[f"blk.{layer}.{part}.weight"].T)

    def _attention(self, layer: int, hidden: Array, positions: npt.NDArray[np.int64]) -> Array:
        shape = self.shape

        def heads(part: str, count: int) -> Array:
            projected = self._project(layer, part, hidden)
            return projected.reshape(len(hidden), count, shape.head_size).transpose(1, 0, 2)

        queries = _rotate(heads("attn_q", shape.heads), positions, shape.rope_base)
        keys = _rotate(heads("attn_k", shape.kv_heads), positions, shape.rope_base)
        self.keys[layer] = np.concatenate((self.keys[layer], keys), axis=1)
        values = heads("attn_v", shape.kv_heads)
        self.values[layer] = np.concatenate((self.values[layer], values), axis=1)
        group = shape.heads // shape.kv_heads
        all_keys = np.repeat(self.keys[layer], group, axis=0)
        all_values = np.repeat(self.values[layer], group, axis=0)
        scores = queries @ all_keys.transpose(0, 2, 1) / np.sqrt(np.float32(shape.head_size))
        later = np.arange(all_keys.shape[1])[None, :] > positions[:, None]
        scores = np.where(later[None], np.float32(-np.inf), scores)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ all_values
        joined = mixed.transpose(1, 0, 2).reshape(len(hidden), -1)
        return self._project(layer, "attn_output", joined)

    def _feed_forward(self, layer: int, hidden: Array) -> Array:
        gate = self._project(layer, "ffn_gate", hidden)
        activated = gate / (1 + np.exp(-gate)) * self._project(layer, "ffn_up", hidden)
        return self._project(layer, "ffn_down", activated)


def _rms_norm(hidden: Array, weight: Array, epsilon: float) -> Array:
    mean = np.mean(hidden * hidden, axis=-1, keepdims=True)
    return np.asarray(hidden / np.sqrt(mean + np.float32(epsilon)) * weight)


def _rotate(vectors: Array, positions: npt.NDArray[np.int64], base: float) -> Array:
    """Rotary positions on neighbouring pairs: a GGUF's q and k are permuted for that order."""
    half = vectors.shape[-1] // 2
    angles = positions[:, None] * base ** (-np.arange(half) / half)
    cosine, sine = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    even, odd = vectors[..., 0::2], vectors[..., 1::2]
    rotated = np.empty_like(vectors)
    rotated[..., 0::2] = even * cosine - odd * sine
    rotated[..., 1::2] = even * sine + odd * cosine
    return rotated


def greedy(model: Llama, prompt: list[int], count: int) -> list[int]:
    """The ``count`` most probable tokens, one after the other, after ``prompt``."""
    model.reset()
    tokens = prompt
    answer: list[int] = []
    for _ in range(count):
        answer.append(int(model.logits(tokens)[-1].argmax()))
        tokens = answer[-1:]
    return answer


def perplexity(logits: Array, tokens: list[int]) -> float:
    """exp of the mean negative log-probability of each token given those before it."""
    rows = logits[:-1].astype(np.float64)
    rows -= rows.max(axis=-1, keepdims=True)
    log_probs = rows - np.log(np.exp(rows).sum(axis=-1, keepdims=True))
    return float(np.exp(-log_probs[np.arange(len(rows)), tokens[1:]].mean()))


def main() -> None:
    """Write ``reference.json`` beside this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    options = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(options.tokenizer))
    model = Llama(options.gguf)
    prompts = []
    for prompt in PROMPTS:
        ids: list[int] = tokenizer.encode(prompt).ids
        answer = greedy(model, ids, GREEDY_TOKENS)
        prompts.append({"prompt": prompt, "input_ids": ids, "greedy": answer})
        print(repr(tokenizer.decode(answer)))
    text_ids: list[int] = tokenizer.encode(TEXT).ids
    model.reset()
    logits = model.logits(text_ids)
    reference = {
        "model": options.gguf.name,
        "model_sha256": hashlib.sha256(options.gguf.read_bytes()).hexdigest(),
        "prompts": prompts,
        "text": TEXT,
        "text_ids": text_ids,
        "text_top1": [int(token) for token in logits.argmax(axis=-1)],
        "text_perplexity": round(perplexity(logits, text_ids), 4),
    }
    print("perplexity", reference["text_perplexity"], "of", len(text_ids), "tokens")
    path = HERE / "reference.json"
    path.write_text(json.dumps(reference, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
