"""From the settings of a deployment to the plan that is sized."""

from __future__ import annotations

from rolecall.api import Host
from roles.engine.settings import Engine
from roles.preflight.sizing.plan import Plan
from roles.repo.settings import Repo

#: How the fields of a plan are called below ``engine.tensorrt_llm``.
_ENGINE = {
    "dtype": "engine.tensorrt_llm.dtype",
    "quantization": "engine.tensorrt_llm.quantization",
    "kv_dtype": "engine.tensorrt_llm.kv_cache_dtype",
    "tp_size": "engine.tensorrt_llm.tp_size",
    "pp_size": "engine.tensorrt_llm.pp_size",
    "max_batch_size": "engine.tensorrt_llm.max_batch_size",
    "max_seq_len": "engine.tensorrt_llm.max_seq_len",
    "max_num_tokens": "engine.tensorrt_llm.max_num_tokens",
    "max_beam_width": "engine.tensorrt_llm.max_beam_width",
    "max_tokens_in_paged_kv_cache": "repo.max_tokens_in_paged_kv_cache",
}

#: The same below ``repo.llmapi``; another quantization is another model there.
_LLMAPI = {
    "quantization": "model.source: the model in {}",
    "dtype": "repo.llmapi.options.dtype",
    "kv_dtype": "repo.llmapi.kv_cache_dtype",
    "tp_size": "repo.llmapi.tensor_parallel_size",
    "pp_size": "repo.llmapi.pipeline_parallel_size",
    "max_batch_size": "repo.llmapi.max_batch_size",
    "max_seq_len": "repo.llmapi.max_seq_len",
    "max_num_tokens": "repo.llmapi.max_num_tokens",
}

#: The same for vLLM.
_VLLM = {
    "dtype": "engine.vllm.dtype",
    "quantization": "engine.vllm.quantization",
    "kv_dtype": "engine.vllm.kv_cache_dtype",
    "tp_size": "engine.vllm.tensor_parallel_size",
    "pp_size": "pipeline parallelism",
    "max_batch_size": "engine.max_batch_size",
    "max_seq_len": "engine.max_seq_len",
    "max_num_tokens": "engine.max_num_tokens",
    "max_tokens_in_paged_kv_cache": "repo.max_tokens_in_paged_kv_cache",
}


def recipe(host: Host) -> str:
    """How the weights come to the GPUs: ``engine``, ``llmapi``, ``vllm``; empty without GPUs."""
    kind = host.settings(Engine).kind
    if kind in {"tensorrt_llm", "vllm"}:
        return "engine" if kind == "tensorrt_llm" else "vllm"
    return "llmapi" if host.settings(Repo).kind == "llmapi" else ""


def plan(host: Host) -> Plan | None:
    """What ``host`` is to serve; None for a deployment that uses no GPU."""
    plans = {"engine": _engine, "llmapi": _llmapi, "vllm": _vllm}
    made = plans.get(recipe(host))
    return made(host) if made else None


def _engine(host: Host) -> Plan:
    asked = host.settings(Engine).tensorrt_llm
    repo = host.settings(Repo)
    length = asked.max_seq_len or 0
    names = dict(_ENGINE)
    if not length and asked.max_output_len:
        length = (asked.max_input_len or 1024) + asked.max_output_len
        names["max_seq_len"] = "engine.tensorrt_llm: max_input_len + max_output_len = {}"
    sizes = asked.plugins.get("tokens_per_block")
    return Plan(
        "engine",
        dtype=asked.dtype,
        quantization=asked.quantization,
        group_size=asked.group_size,
        kv_dtype=asked.kv_cache_dtype,
        tp_size=asked.tp_size,
        pp_size=asked.pp_size,
        max_batch_size=asked.max_batch_size or 1,
        max_seq_len=length,
        max_num_tokens=asked.max_num_tokens or 0,
        max_beam_width=asked.max_beam_width or 1,
        max_tokens_in_paged_kv_cache=repo.max_tokens_in_paged_kv_cache,
        tokens_per_block=sizes if isinstance(sizes, int) else Plan.tokens_per_block,
        kv_fraction=repo.kv_cache_free_gpu_mem_fraction,
        split_embedding=asked.use_parallel_embedding,
        names=names,
    )


def _llmapi(host: Host) -> Plan:
    """Without ``max_batch_size`` as many sequences run as fit: one is what has to."""
    asked = host.settings(Repo).llmapi
    dtype = asked.options.get("dtype", "auto")
    return Plan(
        "llmapi",
        dtype=dtype if isinstance(dtype, str) else "auto",
        kv_dtype=asked.kv_cache_dtype,
        tp_size=asked.tensor_parallel_size,
        pp_size=asked.pipeline_parallel_size,
        max_batch_size=asked.max_batch_size or 1,
        max_seq_len=asked.max_seq_len or 0,
        max_num_tokens=asked.max_num_tokens or 0,
        tokens_per_block=32,
        kv_fraction=asked.free_gpu_memory_fraction,
        split_embedding=True,
        names=_LLMAPI,
    )


def _vllm(host: Host) -> Plan:
    """Batch and lengths come from the engine's settings, as the CPU engine's do."""
    engine, repo = host.settings(Engine), host.settings(Repo)
    asked = engine.vllm
    return Plan(
        "vllm",
        dtype=asked.dtype,
        quantization={"fp8": "fp8", "bitsandbytes": "int4"}.get(asked.quantization, "none"),
        kv_dtype="fp8" if asked.kv_cache_dtype.startswith("fp8") else "auto",
        tp_size=asked.tensor_parallel_size,
        max_batch_size=engine.max_batch_size,
        max_seq_len=engine.max_seq_len,
        max_num_tokens=engine.max_num_tokens,
        max_tokens_in_paged_kv_cache=repo.max_tokens_in_paged_kv_cache,
        tokens_per_block=16,
        kv_fraction=repo.kv_cache_free_gpu_mem_fraction,
        split_embedding=True,
        names=_VLLM,
    )
