"""Settings of the engine kind ``tensorrt_llm``."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from roles.engine.tensorrt_llm.command import check
from roles.engine.tensorrt_llm.tables import known_versions, table
from roles.published import Published


class TensorrtLlm(Published):
    """Settings of TensorRT-LLM's engine build, named as the flags of its tools.

    Each is an input: another value is another checkpoint or another engine. One that the pinned
    version has no flag for is refused. ``null`` leaves a flag out, so that the tool's own default
    holds.
    """

    version: str = ""
    """The TensorRT-LLM that ``trtllm-build`` is of, such as 1.2.1. Empty: that of the runtime's
    image. roles/engine/tensorrt_llm/flags says which are known, with their flags."""

    examples: str = ""
    """The TensorRT-LLM whose ``convert_checkpoint.py`` is used; it is not in the wheel. Empty: the
    same version, which is the only combination that upstream ever ran."""

    examples_path: str = ""
    """A directory in the runtime that has TensorRT-LLM's ``examples`` already. Empty: they come
    from a git checkout of the version's commit."""

    repository: str = "https://github.com/NVIDIA/TensorRT-LLM.git"
    """Where the git checkout of the examples comes from; a mirror will do."""

    commit: str = ""
    """The commit of the checkout. Empty: that of the version."""

    family: str = "llama"
    """The model's family: which of the examples converts it. ``llama`` is Mistral's as well;
    ``qwen`` is known for 1.2.1."""

    dtype: Literal["auto", "float16", "bfloat16", "float32"] = "float16"
    """The type of weights and activations where they are not quantised."""

    quantization: Literal["none", "int8", "int4", "int4_gptq", "int4_awq", "smoothquant", "fp8"] = (
        "none"
    )
    """How the weights are held: ``int8`` and ``int4`` quantise weights alone; ``int4_gptq`` takes
    them from ``quantized_checkpoint``; ``int4_awq``, ``smoothquant`` and ``fp8`` calibrate with a
    data set, which the tool fetches."""

    quantized_checkpoint: str = ""
    """For ``int4_gptq``: the file with the quantised weights, a path on the host."""

    group_size: PositiveInt = 128
    """For ``int4_gptq`` and ``int4_awq``: weights that share a scale."""

    smoothquant: float = Field(default=0.5, ge=0, le=1)
    """For ``smoothquant``: how much of the difficulty goes from activations to weights."""

    calibration_size: PositiveInt | None = None
    """Samples to calibrate with."""

    kv_cache_dtype: Literal["auto", "int8", "fp8"] = "auto"
    """How the KV cache is held; ``auto``: as ``dtype``."""

    tp_size: PositiveInt = 1
    """GPUs that share each layer (tensor parallelism)."""

    pp_size: PositiveInt = 1
    """Groups of GPUs that share the layers (pipeline parallelism). ``tp_size`` times ``pp_size``
    is the number of GPUs, and of the engine's ranks."""

    workers: PositiveInt = 1
    """Ranks that are converted and built at the same time; each takes its memory."""

    load_model_on_cpu: bool = False
    """Convert in the host's memory instead of the GPU's."""

    load_by_shard: bool = False
    """Read the model file by file: less memory, more time."""

    use_parallel_embedding: bool = False
    """Split the embedding table over the GPUs."""

    embedding_sharding_dim: Literal[0, 1] = 0
    """Split it by vocabulary (0) or by hidden dimension (1)."""

    use_embedding_sharing: bool = False
    """Keep one table where the model uses the same for input and output."""

    max_batch_size: PositiveInt | None = 64
    """Sequences in flight at the same time. Upstream's default was 1 up to 0.9, which serves one
    request after the other whatever Triton is told."""

    max_input_len: PositiveInt | None = 1024
    """Tokens of a prompt."""

    max_output_len: PositiveInt | None = None
    """Tokens of an answer. For versions up to 0.10; later ones have ``max_seq_len``."""

    max_seq_len: PositiveInt | None = None
    """Tokens of a prompt and its answer together. For versions from 0.11 on."""

    max_num_tokens: PositiveInt | None = None
    """Tokens of all sequences in one forward pass."""

    max_beam_width: PositiveInt | None = None
    """Beams that one request may ask for."""

    plugins: dict[str, str | int | bool] = Field(default_factory=dict)
    """Plugins and features by the name of their flag: ``gemm_plugin: float16``,
    ``paged_kv_cache: true``, ``tokens_per_block: 64``."""

    convert_flags: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Further flags of the conversion, by name; a switch is ``true``."""

    build_flags: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Further flags of ``trtllm-build``, by name; a switch is ``true``."""

    @property
    def world_size(self) -> int:
        """The number of ranks, and of GPUs."""
        return self.tp_size * self.pp_size

    @field_validator("version", "examples")
    @classmethod
    def _version_is_known(cls, value: str) -> str:
        if value and value not in known_versions():
            raise ValueError(
                f"the flags of TensorRT-LLM {value!r} are not known; known are "
                f"{', '.join(known_versions())}"
            )
        return value

    @field_validator("commit")
    @classmethod
    def _commit_is_pinned(cls, value: str) -> str:
        if value and not re.fullmatch(r"[0-9a-f]{40}", value):
            raise ValueError("a full commit is needed: 40 hexadecimal digits")
        return value

    @model_validator(mode="after")
    def _lengths_agree(self) -> TensorrtLlm:
        if self.max_output_len and self.max_seq_len:
            raise ValueError("max_output_len and max_seq_len say the same: set one of them")
        if self.max_seq_len and self.max_input_len and self.max_seq_len <= self.max_input_len:
            raise ValueError(
                f"max_input_len ({self.max_input_len}) leaves no room for an answer within "
                f"max_seq_len ({self.max_seq_len})"
            )
        if (self.max_num_tokens or self.max_batch_size or 1) < (self.max_batch_size or 1):
            raise ValueError(
                f"max_num_tokens ({self.max_num_tokens}) must be at least max_batch_size "
                f"({self.max_batch_size}): every sequence in flight needs one token a pass"
            )
        return self

    @model_validator(mode="after")
    def _the_quantisation_is_possible(self) -> TensorrtLlm:
        if (self.quantization == "int4_gptq") != bool(self.quantized_checkpoint):
            raise ValueError("quantization int4_gptq and quantized_checkpoint belong together")
        if self.load_by_shard and (
            self.quantization == "smoothquant" or self.kv_cache_dtype == "int8"
        ):
            raise ValueError(
                "load_by_shard is impossible with quantization smoothquant or kv_cache_dtype "
                "int8: they calibrate the whole model (convert_checkpoint.py asserts it)"
            )
        if self.use_embedding_sharing and self.embedding_sharding_dim != 0:
            raise ValueError("use_embedding_sharing needs embedding_sharding_dim 0")
        return self

    @model_validator(mode="after")
    def _every_setting_has_a_flag(self) -> TensorrtLlm:
        if self.version:
            check(self, table(self.version), table(self.examples or self.version))
        return self
