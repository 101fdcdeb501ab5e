"""What the model configuration and the built engine demand, checked before anything is loaded.

Parameter names and their values follow tensorrtllm_backend at da59830
(all_models/inflight_batcher_llm/tensorrt_llm/config.pbtxt). A parameter that the
engine cannot honour is refused rather than ignored, unless it is left empty.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import SettingsError

DEFAULT_MAX_QUEUE = 1024
SHARE_OF_FREE_MEMORY = 0.5
"""Of the memory that is free at load, what the KV cache takes when nothing is set."""

_TRUE = frozenset({"true", "1", "t", "y", "yes"})
_FALSE = frozenset({"false", "0", "f", "n", "no"})
_STRATEGIES = ("inflight_batching", "inflight_fused_batching")
_POLICIES = ("guaranteed_no_evict", "max_utilization")
_DECODING_MODES = ("top_k", "top_p", "top_k_top_p", "beam_search")
_MUST_BE_EMPTY = (
    "gpu_device_ids",
    "lora_cache_optimal_adapter_size",
    "lora_cache_max_adapter_size",
    "lora_cache_gpu_memory_fraction",
    "lora_cache_host_memory_bytes",
)
_FLOAT32_BYTES = 4
BUILDERS = ("openvino-genai", "vllm")
"""Whose engines can be served."""


@dataclass(frozen=True)
class EngineLimits:
    """What the engine was built for, from its ``config.json``. Lengths are tokens.

    ``builder`` says which library serves it. ``kv_bytes_per_token`` is for all its GPUs together.
    """

    builder: str
    max_batch_size: int
    max_input_len: int
    max_seq_len: int
    max_num_tokens: int
    max_beam_width: int
    block_tokens: int
    vocabulary: int
    end_token: int
    kv_bytes_per_token: int
    exact: bool


@dataclass(frozen=True)
class Settings:
    """Everything the engine is started with. ``kv_blocks`` is the size of the paged cache."""

    engine_dir: Path
    limits: EngineLimits
    decoupled: bool
    kv_blocks: int
    max_beam_width: int
    reuse_prefix: bool
    chunked_context: bool
    exclude_input: bool
    reserve_blocks: bool
    max_queue: int


def read_limits(engine_dir: Path) -> EngineLimits:
    """Read ``config.json`` of a built engine; raises ``SettingsError`` if it is not one."""
    path = engine_dir / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot open the engine's {path}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{path} is not JSON: {error}") from error
    builder = config.get("builder")
    if builder not in BUILDERS:
        raise SettingsError(
            f"{path}: this engine is for another backend (builder {builder!r}, version "
            f"{config.get('version')!r}); this one serves engines of {', '.join(BUILDERS)}"
        )
    try:
        build: dict[str, Any] = config["build_config"]
        model: dict[str, Any] = config["pretrained_config"]
        plugins: dict[str, Any] = build["plugin_config"]
        per_token = 2 * model["num_hidden_layers"] * model["num_key_value_heads"]
        return EngineLimits(
            builder=builder,
            max_batch_size=build["max_batch_size"],
            max_input_len=build["max_input_len"],
            max_seq_len=build["max_seq_len"],
            max_num_tokens=build["max_num_tokens"],
            max_beam_width=build["max_beam_width"],
            block_tokens=plugins["tokens_per_block"],
            vocabulary=model["vocab_size"],
            end_token=model["eos_token_id"],
            kv_bytes_per_token=per_token
            * model["head_size"]
            * plugins.get("kv_cache_bytes", _FLOAT32_BYTES),
            exact=plugins["arithmetic"] == "exact",
        )
    except KeyError as error:
        raise SettingsError(f"{path}: {error} is missing") from error


def read_settings(config: Mapping[str, Any], free_memory: Callable[[Path, str], int]) -> Settings:
    """Read the settings from a Triton model configuration (as JSON).

    ``free_memory`` tells how many bytes the KV cache of an engine (its directory and builder)
    could take at load. Raises ``SettingsError`` that names
    the parameter, its value and what would be accepted.
    """
    parameters = {
        name: str(value["string_value"]).strip()
        for name, value in config.get("parameters", {}).items()
    }
    engine_dir = parameters.get("gpt_model_path", "")
    if not engine_dir:
        raise SettingsError("gpt_model_path (engine_dir) is empty")
    if not Path(engine_dir).is_absolute():
        raise SettingsError(f"gpt_model_path (engine_dir) must be absolute, not {engine_dir!r}")
    limits = read_limits(Path(engine_dir))
    _refuse_unsupported(parameters, limits)
    strategy = parameters.get("gpt_model_type", "")
    _one_of("gpt_model_type (batching_strategy)", strategy, _STRATEGIES)
    policy = parameters.get("batch_scheduler_policy", "") or _POLICIES[0]
    _one_of("batch_scheduler_policy", policy, _POLICIES)
    memory = free_memory(Path(engine_dir), limits.builder)
    return Settings(
        engine_dir=Path(engine_dir),
        limits=limits,
        decoupled=bool(config.get("model_transaction_policy", {}).get("decoupled", False)),
        kv_blocks=_kv_blocks(parameters, limits, memory),
        max_beam_width=_beam_width(parameters, limits),
        reuse_prefix=_boolean(parameters, "enable_kv_cache_reuse"),
        chunked_context=_boolean(parameters, "enable_chunked_context"),
        exclude_input=_boolean(parameters, "exclude_input_in_output"),
        reserve_blocks=policy == "guaranteed_no_evict",
        max_queue=_integer(parameters, "max_queue_size", DEFAULT_MAX_QUEUE),
    )


def _refuse_unsupported(parameters: Mapping[str, str], limits: EngineLimits) -> None:
    for name in _MUST_BE_EMPTY:
        if parameters.get(name):
            raise SettingsError(
                f"{name} {parameters[name]!r}: not available with this engine, leave empty"
            )
    if _boolean(parameters, "enable_trt_overlap"):
        raise SettingsError(
            "enable_trt_overlap: not available with this engine, leave empty or False"
        )
    if not _boolean(parameters, "normalize_log_probs", default=True):
        raise SettingsError("normalize_log_probs: only True is available with this engine")
    mode = parameters.get("decoding_mode", "")
    if mode:
        _one_of("decoding_mode", mode, _DECODING_MODES)
    window = _integer(parameters, "max_attention_window_size", limits.max_seq_len)
    if window < limits.max_seq_len:
        raise SettingsError(
            f"max_attention_window_size {window} is less than the engine's max_seq_len "
            f"{limits.max_seq_len}: a sliding window is not available with this engine"
        )


def _beam_width(parameters: Mapping[str, str], limits: EngineLimits) -> int:
    width = _integer(parameters, "max_beam_width", 1)
    if not 1 <= width <= limits.max_beam_width:
        raise SettingsError(
            f"max_beam_width {width} is outside of 1 to {limits.max_beam_width}, "
            f"which is what the engine was built for"
        )
    return width


def _kv_blocks(parameters: Mapping[str, str], limits: EngineLimits, free_memory: int) -> int:
    """Blocks of the paged cache: the smaller of what the two parameters allow."""
    useful = limits.max_batch_size * limits.max_seq_len
    bounds = [useful]
    fraction = parameters.get("kv_cache_free_gpu_mem_fraction", "")
    share = _fraction("kv_cache_free_gpu_mem_fraction", fraction or str(SHARE_OF_FREE_MEMORY))
    tokens = _integer(parameters, "max_tokens_in_paged_kv_cache", 0)
    if tokens:
        bounds.append(tokens)
    if fraction or not tokens:
        bounds.append(int(free_memory * share) // limits.kv_bytes_per_token)
    blocks = min(bounds) // limits.block_tokens
    needed = -(-limits.max_seq_len // limits.block_tokens)
    if blocks < needed:
        raise SettingsError(
            f"a KV cache of {blocks * limits.block_tokens} tokens cannot hold one sequence of the "
            f"engine's max_seq_len {limits.max_seq_len}: raise max_tokens_in_paged_kv_cache "
            f"(now {tokens or 'unset'}) or kv_cache_free_gpu_mem_fraction "
            f"(now {fraction or 'unset'}, {free_memory // 2**20} MiB of memory are free)"
        )
    return blocks


def _one_of(name: str, value: str, accepted: tuple[str, ...]) -> None:
    if value not in accepted:
        raise SettingsError(f"{name} {value!r} is not one of {', '.join(accepted)}")


def _boolean(parameters: Mapping[str, str], name: str, default: bool = False) -> bool:
    text = parameters.get(name, "").lower()
    if not text:
        return default
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise SettingsError(f"{name} {parameters[name]!r} is neither True nor False")


def _integer(parameters: Mapping[str, str], name: str, default: int) -> int:
    text = parameters.get(name, "")
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        raise SettingsError(f"{name} {text!r} is not a whole number") from None
    if value < 0:
        raise SettingsError(f"{name} {value} is negative")
    return value


def _fraction(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise SettingsError(f"{name} {text!r} is not a number") from None
    if not 0.0 < value <= 1.0:
        raise SettingsError(f"{name} {text} is not above 0 and at most 1")
    return value
