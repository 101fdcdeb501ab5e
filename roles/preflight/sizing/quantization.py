"""How many bytes a number takes, however weights and KV cache are held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

#: Bytes of one number of each arithmetic type, under the names of config.json and of the engine.
DTYPES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0, "float8_e4m3fn": 1.0}

#: Bytes of one number of the KV cache.
KV_DTYPES = {**DTYPES, "fp8": 1.0, "int8": 1.0, "nvfp4": 0.5 + 1 / 16}


@dataclass(frozen=True)
class Quantization:
    """How the linear layers' weights are held; embeddings, head and norms keep their type.

    Attributes:
        name: as the engine's settings and TensorRT-LLM call it; ``none`` keeps the type.
        bits: of one weight; 0 is the model's own type.
        group: weights that share a scale; 0 is one scale for each output channel, -1 none.
        scale: bytes of one scale.
        zero: bytes of one group's zero point.
        capability: the compute capability that its arithmetic needs, times ten; 0 is any.
    """

    name: str
    bits: float = 0
    group: int = -1
    scale: float = 2
    zero: float = 0
    capability: int = 0

    def linear_bytes(self, inputs: int, outputs: int, dtype_bytes: float) -> float:
        """Bytes of a linear layer's weights with their scales."""
        elements = inputs * outputs
        if not self.bits:
            return elements * dtype_bytes
        scales = 0
        if self.group == 0:
            scales = outputs
        elif self.group > 0:
            scales = outputs * ceil(inputs / self.group)
        return elements * self.bits / 8 + scales * (self.scale + self.zero)


NONE = Quantization("none")

#: By the names of ``engine.tensorrt_llm.quantization``. Group sizes are TensorRT-LLM's defaults
#: (0.8 to 1.2: ``--group_size`` 128); NVFP4 has an fp8 scale for 16 weights, MXFP4 one byte for
#: 32 (OCP Microscaling Formats 1.0); DeepSeek's fp8 a float32 for each block of 128 x 128.
KINDS = {
    kind.name: kind
    for kind in (
        NONE,
        Quantization("fp8", 8, capability=89),
        Quantization("fp8_rowwise", 8, group=0, scale=4, capability=89),
        Quantization("fp8_block", 8, group=128 * 128, scale=4, capability=89),
        Quantization("int8_wo", 8, group=0),
        Quantization("int8_sq", 8, group=0, scale=4),
        Quantization("int4_wo", 4, group=0),
        Quantization("int4_awq", 4, group=128),
        Quantization("int4_gptq", 4, group=128, zero=0.5),
        Quantization("w4a8_awq", 4, group=128, capability=89),
        Quantization("nvfp4", 4, group=16, scale=1, capability=100),
        Quantization("mxfp4", 4, group=32, scale=1),
    )
}

#: The same under the names that convert_checkpoint.py, quantize.py and config files have.
ALIASES = {
    "": "none",
    "int8": "int8_wo",
    "int8_weight_only": "int8_wo",
    "int8_smoothquant": "int8_sq",
    "smoothquant": "int8_sq",
    "int4": "int4_wo",
    "int4_weight_only": "int4_wo",
    "awq": "int4_awq",
    "gptq": "int4_gptq",
    "fp4": "nvfp4",
    "w8a16": "int8_wo",
    "w4a16": "int4_wo",
    "w4a16_awq": "int4_awq",
    "w4a16_gptq": "int4_gptq",
    "w8a8_sq_per_channel": "int8_sq",
    "fp8_block_scales": "fp8_block",
    "fp8_per_channel_per_token": "fp8_rowwise",
}


def named(name: str, group: int = 0) -> Quantization:
    """The quantization of that name, with another group size if one is given.

    Raises:
        ValueError: nothing is called that.
    """
    text = name.lower()
    kind = KINDS.get(ALIASES.get(text, text))
    if kind is None:
        raise ValueError(f"quantization {name!r} is not one of {', '.join(KINDS)}")
    if group and kind.group > 0 and kind.group < 128 * 128:
        return Quantization(kind.name, kind.bits, group, kind.scale, kind.zero, kind.capability)
    return kind


def of_checkpoint(config: Mapping[str, Any]) -> Quantization:
    """How the checkpoint is held that a ``quantization_config`` describes; its files are so.

    Raises:
        ValueError: a method that is not known here.
    """
    method = str(config.get("quant_method", "")).lower()
    bits = config.get("bits", config.get("w_bit"))
    group = int(config.get("group_size", config.get("q_group_size", 0)) or 0)
    if method in {"awq", "gptq", "auto-round", "auto_round", "intel/auto-round"}:
        # Both store a zero point of as many bits for each group (AutoAWQ, AutoGPTQ: qzeros).
        width = int(bits or 4)
        return Quantization(f"int{width}_{method[:4]}", width, max(group, 0), 2, width / 8)
    if method == "fp8":
        return KINDS["fp8_block" if config.get("weight_block_size") else "fp8"]
    if method == "fbgemm_fp8":
        return KINDS["fp8_rowwise"]
    if method == "mxfp4":
        return KINDS["mxfp4"]
    if method == "bitsandbytes":
        return KINDS["int4_wo" if config.get("load_in_4bit") else "int8_wo"]
    if method == "modelopt":
        inner = config.get("quantization", config)
        return named(str(inner.get("quant_algo", "")))
    if method == "compressed-tensors":
        return _compressed(config)
    raise ValueError(f"quantization method {method or 'without a name'!r} is not known")


def _compressed(config: Mapping[str, Any]) -> Quantization:
    """The first group of a compressed-tensors configuration; more than one is rare."""
    groups = list((config.get("config_groups") or {}).values())
    weights = (groups[0].get("weights") if groups else None) or {}
    bits = int(weights.get("num_bits", 0))
    if not bits:
        raise ValueError("its compressed-tensors configuration names no weights")
    if weights.get("type") == "float":
        if bits == 4:
            return KINDS["nvfp4"]
        return KINDS["fp8" if weights.get("strategy") == "tensor" else "fp8_rowwise"]
    group = int(weights.get("group_size") or 0)
    if bits == 8 and not group:
        return KINDS["int8_sq"]
    zero = 0 if weights.get("symmetric", True) else bits / 8
    return Quantization(f"int{bits}_wo", bits, max(group, 0), 2, zero)


def kv_of_checkpoint(config: Mapping[str, Any]) -> str | None:
    """The KV cache's type that a ``quantization_config`` asks for, or None."""
    scheme = config.get("kv_cache_scheme")
    if isinstance(scheme, dict) and scheme.get("num_bits") == 8:
        return "fp8" if scheme.get("type") == "float" else "int8"
    inner = config.get("quantization", config)
    algorithm = str(inner.get("kv_cache_quant_algo") or "").lower()
    return algorithm if algorithm in KV_DTYPES else None
