from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

Modules = dict[str, ModuleType]

BUILD = {
    "max_batch_size": 64,
    "max_input_len": 1024,
    "max_output_len": 1024,
    "max_beam_width": 1,
    "plugin_config": {"tokens_per_block": 128, "paged_kv_cache": True},
}


def configs(batch: int = 64, decoupled: str = "false", bls: str = "", **parameters: Any) -> Any:
    pairs = "".join(
        f'parameters {{ key: "{name}" value {{ string_value: "{value}" }} }}\n'
        for name, value in parameters.items()
    )

    def model(said: str, more: str = "") -> Any:
        text = f"max_batch_size: {batch} model_transaction_policy {{ decoupled: {said} }} {more}"
        return text_format.Parse(text, model_config_pb2.ModelConfig())

    return {
        "tensorrt_llm": model(decoupled, pairs),
        "tensorrt_llm_bls": model(bls or decoupled),
        "ensemble": model("false"),
    }


def problems(fill_modules: Modules, asked: Any, **build: Any) -> list[str]:
    found: list[str] = fill_modules["engine_limits"].problems(asked, {**BUILD, **build})
    return found


def test_the_published_values_fit_an_engine_for_64(fill_modules: Modules) -> None:
    published = configs(
        max_beam_width=1, max_tokens_in_paged_kv_cache=2560, gpt_model_type="inflight_batching"
    )
    assert problems(fill_modules, published) == []


WRONG = [
    ({}, {"max_batch_size": 1}, "batch up to 64 requests"),
    ({"max_beam_width": 2}, {}, "max_beam_width 2: the engine was built for 1"),
    (
        {"max_tokens_in_paged_kv_cache": 2047},
        {},
        "1 beams of 2048 tokens, in blocks of 128, are 2048",
    ),
    ({"max_tokens_in_paged_kv_cache": 4096}, {"max_seq_len": 4097}, "are 4224"),
    (
        {"gpt_model_type": "inflight_batching"},
        {"plugin_config": {"paged_kv_cache": False}},
        "paged",
    ),
    (
        {"gpt_model_type": "inflight_fused_batching"},
        {"plugin_config": {"remove_input_padding": False}},
        "remove_input_padding",
    ),
    ({"decoupled": "true", "bls": "false"}, {}, "must both be decoupled or neither"),
]


@pytest.mark.parametrize(("asked", "build", "message"), WRONG)
def test_what_the_engine_was_not_built_for_is_named(
    fill_modules: Modules, asked: dict[str, Any], build: dict[str, Any], message: str
) -> None:
    (problem,) = problems(fill_modules, configs(**asked), **build)
    assert message in problem


def test_an_unfilled_parameter_asks_for_nothing(fill_modules: Modules) -> None:
    assert problems(fill_modules, configs(max_tokens_in_paged_kv_cache="${m}")) == []
