"""A double of vLLM 0.26 for machines without a GPU.

It takes exactly what the serving backend may give the real one, checks it as that does, and
generates by rule: the prompt over and over, one token a step for every request in the batch. Read
from vllm 0.26.0: vllm/engine/arg_utils.py (``EngineArgs``), vllm/v1/engine/llm_engine.py,
vllm/outputs.py, vllm/sampling_params.py.

``VLLM_DOUBLE_FAIL=load|step`` makes it fail there; ``VLLM_DOUBLE_STEP_S`` is how long a step takes.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from vllm.sampling_params import RequestOutputKind, SamplingParams

__all__ = ["EngineArgs", "LLMEngine", "SamplingParams"]

__version__ = "0.26.0"

_DTYPES = ("auto", "half", "float16", "bfloat16", "float", "float32")
_CACHE_DTYPES = ("auto", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2")


@dataclass
class EngineArgs:
    """Those of the real one's arguments that Rolecall sets; another is refused as unknown."""

    model: str
    dtype: str = "auto"
    kv_cache_dtype: str = "auto"
    tensor_parallel_size: int = 1
    enforce_eager: bool = False
    quantization: str | None = None
    max_num_seqs: int | None = None
    max_model_len: int | None = None
    max_num_batched_tokens: int | None = None
    block_size: int | None = None
    kv_cache_memory_bytes: int | None = None
    gpu_memory_utilization: float = 0.92
    enable_prefix_caching: bool | None = None
    disable_log_stats: bool = False

    def __post_init__(self) -> None:
        config = json.loads((Path(self.model) / "config.json").read_text())
        for needed in ("tokenizer.json", "tokenizer_config.json"):
            assert (Path(self.model) / needed).is_file(), needed
        assert list(Path(self.model).glob("*.safetensors"))
        if self.dtype not in _DTYPES or self.kv_cache_dtype not in _CACHE_DTYPES:
            raise ValueError(f"Unknown dtype: {self.dtype} or {self.kv_cache_dtype}")
        if (self.max_model_len or 0) > config["max_position_embeddings"]:
            raise ValueError(f"User-specified max_model_len ({self.max_model_len}) is greater")
        if config["num_attention_heads"] % self.tensor_parallel_size:
            raise ValueError("Total number of attention heads must be divisible by tensor parallel")
        if not self.kv_cache_memory_bytes or self.kv_cache_memory_bytes <= 0:
            raise ValueError("No available memory for the cache blocks.")
        if not 0 < self.gpu_memory_utilization <= 1:
            raise ValueError("GPU memory utilization must be less than 1.0.")
        self.eos_token_id: int = config["eos_token_id"]
        self.vocabulary: int = config["vocab_size"]


@dataclass
class _Logprob:
    logprob: float
    rank: int | None = 1


@dataclass
class _CompletionOutput:
    token_ids: list[int]
    logprobs: list[dict[int, _Logprob]] | None
    finish_reason: str | None
    index: int = 0
    text: str = ""


@dataclass
class _RequestOutput:
    request_id: str
    outputs: list[_CompletionOutput]
    finished: bool


@dataclass
class _Request:
    id: str
    prompt: list[int]
    sampling: SamplingParams
    produced: list[int] = field(default_factory=list)


class LLMEngine:
    """Generates by rule for a whole batch at a time."""

    def __init__(self, arguments: EngineArgs) -> None:
        self._arguments = arguments
        self._running: list[_Request] = []
        self._step_s = float(os.environ.get("VLLM_DOUBLE_STEP_S", "0.002"))
        self._fails = os.environ.get("VLLM_DOUBLE_FAIL", "")

    @classmethod
    def from_engine_args(cls, engine_args: EngineArgs) -> LLMEngine:
        if os.environ.get("VLLM_DOUBLE_FAIL") == "load":
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return cls(engine_args)

    def add_request(self, request_id: str, prompt: Any, params: SamplingParams) -> str:
        if not isinstance(request_id, str):
            raise TypeError(f"request_id must be a string, got {type(request_id)}")
        ids = prompt["prompt_token_ids"]
        limit = self._arguments.max_model_len
        if not ids or max(ids) >= self._arguments.vocabulary or len(ids) > limit:
            raise ValueError(f"The prompt of {len(ids)} tokens cannot be taken")
        assert params.output_kind is RequestOutputKind.DELTA
        assert not params.detokenize
        self._running.append(_Request(request_id, list(ids), params))
        return request_id

    def abort_request(self, request_ids: list[str]) -> None:
        self._running = [one for one in self._running if one.id not in request_ids]

    def has_unfinished_requests(self) -> bool:
        return bool(self._running)

    def step(self) -> list[_RequestOutput]:
        time.sleep(self._step_s)
        if self._fails == "step":
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        batch = self._running[: self._arguments.max_num_seqs]
        outputs = [self._advance(request) for request in batch]
        done = {output.request_id for output in outputs if output.finished}
        self._running = [one for one in self._running if one.id not in done]
        return outputs

    def _advance(self, request: _Request) -> _RequestOutput:
        at = len(request.produced)
        token = next(islice(cycle(request.prompt), at, None))
        request.produced.append(token)
        sampling = request.sampling
        ends = {*(sampling.stop_token_ids or ())}
        if not sampling.ignore_eos:
            ends.add(self._arguments.eos_token_id)
        reason = None
        if token in ends and len(request.produced) > sampling.min_tokens:
            reason = "stop"
        elif len(request.produced) >= sampling.max_tokens:
            reason = "length"
        log_probs = None
        if sampling.logprobs is not None:
            log_probs = [{token: _Logprob(-0.25)}]
        output = _CompletionOutput([token], log_probs, reason)
        return _RequestOutput(request.id, [output], reason is not None)
