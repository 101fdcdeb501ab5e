"""From settings to the plan that is sized."""

from __future__ import annotations

from typing import Any

import pytest

from roles.preflight.deployment import plan, recipe
from roles.preflight.sizing.plan import Plan, plan_from_json, to_json
from tests.unit.preflight.support import ENGINE, H100, a_host


def planned(settings: dict[str, Any]) -> Plan:
    made = plan(a_host({**ENGINE, **settings}, H100))
    assert made is not None
    return made


def test_a_deployment_without_a_gpu_has_no_plan() -> None:
    assert plan(a_host({}, {"gpu.count": "0"})) is None
    assert recipe(a_host({}, {})) == ""


def test_a_tensorrt_engine() -> None:
    made = planned(
        {
            "engine": {
                "kind": "tensorrt_llm",
                "tensorrt_llm": {
                    "dtype": "bfloat16",
                    "quantization": "int4_awq",
                    "group_size": 64,
                    "kv_cache_dtype": "int8",
                    "tp_size": 2,
                    "pp_size": 2,
                    "max_batch_size": 16,
                    "max_seq_len": 4096,
                    "max_beam_width": 2,
                    "plugins": {"tokens_per_block": 128},
                },
            },
            "repo": {"kind": "upstream", "max_tokens_in_paged_kv_cache": 40960},
        }
    )
    assert (made.recipe, made.dtype, made.quantization, made.group_size) == (
        "engine",
        "bfloat16",
        "int4_awq",
        64,
    )
    assert (made.kv_dtype, made.gpus, made.max_batch_size, made.max_seq_len) == (
        "int8",
        4,
        16,
        4096,
    )
    assert (made.max_beam_width, made.tokens_per_block) == (2, 128)
    assert made.max_tokens_in_paged_kv_cache == 40960
    assert made.says("max_seq_len", 2048) == "engine.tensorrt_llm.max_seq_len=2048"


def test_input_and_output_together_are_the_length_of_older_versions() -> None:
    older = {"max_input_len": 1000, "max_output_len": 500, "max_batch_size": 1}
    made = planned({"engine": {"kind": "tensorrt_llm", "tensorrt_llm": older}})
    assert made.max_seq_len == 1500
    assert made.says("max_seq_len", 512) == (
        "engine.tensorrt_llm: max_input_len + max_output_len = 512"
    )


def test_the_llm_api() -> None:
    asked = {
        "tensor_parallel_size": 2,
        "pipeline_parallel_size": 3,
        "max_batch_size": 8,
        "max_seq_len": 8192,
        "kv_cache_dtype": "fp8",
        "free_gpu_memory_fraction": 0.8,
        "options": {"dtype": "float16"},
    }
    made = planned({"engine": {"kind": "none"}, "repo": {"kind": "llmapi", "llmapi": asked}})
    assert (made.recipe, made.gpus, made.max_batch_size, made.max_seq_len) == ("llmapi", 6, 8, 8192)
    assert (made.kv_dtype, made.kv_fraction, made.dtype) == ("fp8", 0.8, "float16")
    assert made.says("quantization", "fp8") == "model.source: the model in fp8"


def test_the_llm_api_without_limits_has_to_hold_one_sequence() -> None:
    made = planned({"engine": {"kind": "none"}, "repo": {"kind": "llmapi"}})
    assert (made.max_batch_size, made.max_seq_len, made.max_tokens_in_paged_kv_cache) == (1, 0, 0)


@pytest.mark.parametrize(
    ("quantization", "expected"), [("none", "none"), ("fp8", "fp8"), ("awq", "none")]
)
def test_vllm(quantization: str, expected: str) -> None:
    asked = {"quantization": quantization, "tensor_parallel_size": 2, "kv_cache_dtype": "fp8_e5m2"}
    made = planned(
        {"engine": {"kind": "vllm", "max_batch_size": 256, "max_num_tokens": 8192, "vllm": asked}}
    )
    assert (made.recipe, made.gpus, made.kv_dtype, made.quantization) == (
        "vllm",
        2,
        "fp8",
        expected,
    )
    assert (made.max_batch_size, made.max_seq_len, made.max_num_tokens) == (256, 2560, 8192)


def test_every_field_that_advice_may_change_has_the_name_of_its_setting() -> None:
    from roles.preflight.sizing.advice import _CHANGED

    for settings in (
        {},
        {"engine": {"kind": "vllm"}},
        {"engine": {"kind": "none"}, "repo": {"kind": "llmapi"}},
    ):
        made = planned(settings)
        unnamed = {name for name in _CHANGED if name not in made.names}
        beyond = {"max_beam_width"} if made.recipe != "engine" else set()
        beyond |= {"max_tokens_in_paged_kv_cache"} if made.recipe == "llmapi" else set()
        assert unnamed == beyond, "nothing proposes these there: they are 1, or not limited"


def test_the_card_is_fetched_with_the_tools_and_without_what_serves() -> None:
    from roles.preflight.survey import fetching

    settings = {**ENGINE, "engine": {"kind": "vllm"}, "python": {"lock": "cpu"}}
    ids = [item.id for _, item in fetching(a_host(settings, H100))]
    assert [id_.rpartition("/")[2] for id_ in ids[:3]] == ["python", "tools", "tools"]
    assert ids[3:] == ["tree:card-fetcher", "artifact:model-card"]


def test_a_plan_survives_its_way_to_the_host() -> None:
    made = planned({})
    assert plan_from_json({**to_json(made), "of_a_later_version": 1}) == made
