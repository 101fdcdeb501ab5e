"""Whether a repository asks of an engine what it was built for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from errors import FillError
from model_config import parameter


def check(configs: Mapping[str, Any], engine: Path) -> None:
    """Compare the parsed ``configs``, by model, with the engine's config.json.

    Raises:
        FillError: the engine is none, or was not built for what the repository asks.
    """
    path = engine / "config.json"
    try:
        config = json.loads(path.read_text())
        build = config["build_config"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FillError(f"{path} is no engine's config.json: {error!r}") from error
    for problem in problems(configs, build):
        raise FillError(problem, "change the setting of repo, or of engine.tensorrt_llm")


def problems(configs: Mapping[str, Any], build: Mapping[str, Any]) -> list[str]:
    """What does not go together; empty if nothing does not."""
    return [
        problem
        for problem in (
            _batch(configs, build),
            _beams(configs["tensorrt_llm"], build),
            _cache(configs["tensorrt_llm"], build),
            _batching(configs["tensorrt_llm"], build),
            _decoupled(configs),
        )
        if problem
    ]


def _batch(configs: Mapping[str, Any], build: Mapping[str, Any]) -> str:
    asked, limit = configs["tensorrt_llm"].max_batch_size, int(build["max_batch_size"])
    if asked <= limit:
        return ""
    return (
        f"Triton is told to batch up to {asked} requests (repo.max_batch_size); the engine was "
        f"built for {limit} (max_batch_size)"
    )


def _beams(config: Any, build: Mapping[str, Any]) -> str:
    asked, limit = int(parameter(config, "max_beam_width") or 1), int(build["max_beam_width"])
    if asked <= limit:
        return ""
    return f"max_beam_width {asked}: the engine was built for {limit}"


def sequence(build: Mapping[str, Any]) -> int:
    """Tokens of the longest sequence, prompt and answer, that the engine was built for."""
    if build.get("max_seq_len"):
        return int(build["max_seq_len"])
    return int(build["max_input_len"]) + int(build.get("max_output_len") or 0)


def _cache(config: Any, build: Mapping[str, Any]) -> str:
    # tensorrtllm_backend issues 168, 366 and 59: "maxTokensInPagedKvCache must be large enough
    # to process at least 1 sequence".
    asked = parameter(config, "max_tokens_in_paged_kv_cache")
    if not asked:
        return ""
    plugins = build.get("plugin_config") or {}
    block = int(plugins.get("tokens_per_block") or 64)
    beams = int(parameter(config, "max_beam_width") or 1)
    needed = beams * block * -(-sequence(build) // block)
    if int(asked) >= needed:
        return ""
    return (
        f"max_tokens_in_paged_kv_cache {asked} does not hold one sequence: {beams} beams of "
        f"{sequence(build)} tokens, in blocks of {block}, are {needed}"
    )


def _batching(config: Any, build: Mapping[str, Any]) -> str:
    strategy = parameter(config, "gpt_model_type").lower()
    plugins = build.get("plugin_config") or {}
    if not strategy.startswith("inflight"):
        return ""
    if plugins.get("remove_input_padding", True) is False:
        return f"batching_strategy {strategy} needs an engine with remove_input_padding"
    if plugins.get("paged_kv_cache") is False:
        return f"batching_strategy {strategy} needs an engine with paged_kv_cache"
    return ""


def _decoupled(configs: Mapping[str, Any]) -> str:
    # tensorrtllm_backend issues 626, 268, 348.
    said = {
        name: bool(config.model_transaction_policy.decoupled)
        for name, config in configs.items()
        if name in {"tensorrt_llm", "tensorrt_llm_bls"}
    }
    if len(set(said.values())) < 2:
        return ""
    return f"tensorrt_llm and tensorrt_llm_bls must both be decoupled or neither: {said}"
