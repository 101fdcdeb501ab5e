"""Settings of the engine kind ``vllm``."""

from typing import Literal

from pydantic import Field, PositiveInt

from rolecall.api import Settings

VERSION = "0.26.0"
"""The version of vLLM that roles/python/locks/vllm.txt pins."""


class Vllm(Settings):
    """What vLLM's ``EngineArgs`` are given beside the limits of the role (vllm 0.26)."""

    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """In what the weights are held; ``auto`` as the checkpoint says."""

    quantization: Literal["none", "fp8", "bitsandbytes", "awq", "gptq", "compressed-tensors"] = (
        "none"
    )
    """How weights are quantised: ``fp8`` while they are loaded, the others as the checkpoint is."""

    kv_cache_dtype: Literal["auto", "fp8", "fp8_e4m3", "fp8_e5m2"] = "auto"
    """In what the KV cache is held."""

    tensor_parallel_size: PositiveInt = 1
    """GPUs that share the model."""

    enforce_eager: bool = False
    """Neither compile nor capture graphs: starts in seconds, generates much slower."""

    extra: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Further arguments of ``EngineArgs``, by name."""

    def arguments(self) -> dict[str, str | int | float | bool]:
        """As keyword arguments of ``EngineArgs``."""
        given = self.model_dump(exclude={"extra", "quantization"})
        if self.quantization != "none":
            given["quantization"] = self.quantization
        return {**given, **self.extra}
