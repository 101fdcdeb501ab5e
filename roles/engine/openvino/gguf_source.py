"""Reads a GGUF file: opens it with all its checks and describes the model inside.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, version 2 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
from errors import BuildError

SUPPORTED_ARCHITECTURES = ("llama",)
"""Architectures whose converted engine is compared with a reference by this project's tests."""

GGUF_MAGIC = b"GGUF"


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a decoder-only model, as its GGUF states them."""

    architecture: str
    name: str
    layers: int
    hidden: int
    feed_forward: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    context_length: int
    rope_base: float
    norm_epsilon: float


@dataclass(frozen=True)
class Source:
    """An opened GGUF file: its reader (memory-mapped), its shape and its metadata."""

    path: Path
    reader: gguf.GGUFReader
    shape: ModelShape

    def value(self, key: str, default: Any = None) -> Any:
        """The metadata value of ``key`` as plain Python, or ``default`` if it is absent."""
        return _value(self.reader, key, default)


def open_source(path: Path) -> Source:
    """Open the GGUF at ``path``.

    Raises ``BuildError`` if it is missing, is not a GGUF, is cut short, or holds an architecture
    or a tensor type that cannot be converted faithfully.
    """
    if not path.is_file():
        raise BuildError(f"{path}: no such file")
    with path.open("rb") as stream:
        if stream.read(4) != GGUF_MAGIC:
            raise BuildError(f"{path}: not a GGUF file")
    try:
        reader = gguf.GGUFReader(path)
        architecture = str(_value(reader, "general.architecture", "unknown"))
        if architecture not in SUPPORTED_ARCHITECTURES:
            supported = ", ".join(SUPPORTED_ARCHITECTURES)
            raise BuildError(
                f"{path}: architecture {architecture!r} is not supported (supported: {supported})"
            )
        shape = _shape(reader, architecture)
    except BuildError:
        raise
    except Exception as error:  # the reader fails in many ways on damaged bytes
        raise BuildError(f"{path}: damaged or cut short: {_one_line(error)}") from error
    _check_tensors(path, reader, shape)
    return Source(path=path, reader=reader, shape=shape)


def _value(reader: gguf.GGUFReader, key: str, default: Any = None) -> Any:
    field = reader.get_field(key)
    return default if field is None else field.contents()


def _shape(reader: gguf.GGUFReader, architecture: str) -> ModelShape:
    def required(name: str) -> Any:
        value = _value(reader, f"{architecture}.{name}")
        if value is None:
            raise BuildError(f"metadata {architecture}.{name} is missing")
        return value

    heads = int(required("attention.head_count"))
    hidden = int(required("embedding_length"))
    tokens = reader.get_field("tokenizer.ggml.tokens")
    if tokens is None:
        raise BuildError("metadata tokenizer.ggml.tokens is missing")
    return ModelShape(
        architecture=architecture,
        name=str(_value(reader, "general.name", "unnamed")),
        layers=int(required("block_count")),
        hidden=hidden,
        feed_forward=int(required("feed_forward_length")),
        heads=heads,
        kv_heads=int(_value(reader, f"{architecture}.attention.head_count_kv", heads)),
        head_size=int(_value(reader, f"{architecture}.attention.key_length", hidden // heads)),
        vocabulary=len(tokens.data),
        context_length=int(required("context_length")),
        rope_base=float(_value(reader, f"{architecture}.rope.freq_base", 10000.0)),
        norm_epsilon=float(required("attention.layer_norm_rms_epsilon")),
    )


def _check_tensors(path: Path, reader: gguf.GGUFReader, shape: ModelShape) -> None:
    names = {tensor.name for tensor in reader.tensors}
    expected = {"token_embd.weight", "output_norm.weight"}
    for layer in range(shape.layers):
        expected |= {f"blk.{layer}.{part}.weight" for part in _LAYER_PARTS}
    missing = sorted(expected - names)
    if missing:
        raise BuildError(f"{path}: {len(missing)} tensors are missing, the first is {missing[0]}")
    size = path.stat().st_size
    for tensor in reader.tensors:
        if tensor.data_offset + tensor.n_bytes > size:
            raise BuildError(f"{path}: cut short: tensor {tensor.name} lies beyond its end")


_LAYER_PARTS = (
    "attn_norm",
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_output",
    "ffn_norm",
    "ffn_gate",
    "ffn_up",
    "ffn_down",
)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__
