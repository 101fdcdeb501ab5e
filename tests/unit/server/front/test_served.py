"""How the models of each version are asked."""

from __future__ import annotations

from typing import Any

import pytest

from roles.server.openai.front.served import Served

# Input tensors of tensorrt_llm: tensorrtllm_backend at da59830, TensorRT-LLM 1.2, and its llmapi.
COMMON = ("input_ids", "input_lengths", "request_output_len", "end_id", "pad_id", "streaming")
SAMPLED = ("temperature", "runtime_top_k", "runtime_top_p", "presence_penalty", "stop")
OLD = (*COMMON, *SAMPLED, "random_seed", "min_length")
NEW = (*COMMON, *SAMPLED, "seed", "min_tokens", "exclude_input_in_output")
LLM_API = (
    *("text_input", "streaming", "stop", "return_finish_reason"),
    *("sampling_param_max_tokens", "sampling_param_seed", "sampling_param_temperature"),
    *("sampling_param_top_p", "sampling_param_exclude_input_from_output"),
)
OPTIONS = {"max_tokens": 9, "random_seed": 7, "temperature": 0.5, "top_p": 0.9, "end_id": 2}


def config(
    inputs: tuple[str, ...], *, decoupled: bool = True, excludes: str = "true"
) -> dict[str, Any]:
    return {
        "input": [{"name": name} for name in inputs],
        "model_transaction_policy": {"decoupled": decoupled},
        "parameters": {
            "exclude_input_in_output": {"string_value": excludes},
            "gpt_model_path": {"string_value": "/srv/engine"},
        },
    }


def test_the_names_are_those_of_the_version() -> None:
    old = Served.of(config(OLD), {}).body([1, 2], {**OPTIONS, "min_tokens": 3}, "a")
    assert old == {
        "id": "a",
        "input_ids": [1, 2],
        "input_lengths": 2,
        "request_output_len": 9,
        "random_seed": 7,
        "temperature": 0.5,
        "runtime_top_p": 0.9,
        "end_id": 2,
        "min_length": 3,
        "streaming": True,
    }
    new = Served.of(config(NEW), {}).body([1, 2], {**OPTIONS, "min_tokens": 3}, "a")
    assert new["seed"] == 7 and new["min_tokens"] == 3 and "random_seed" not in new
    assert new["exclude_input_in_output"] is True


def test_the_llm_api_is_asked_with_text_and_not_with_ids() -> None:
    model = Served.of(config(LLM_API), {})
    assert model.takes_text and not model.takes_tokens
    assert model.body("hi", OPTIONS, "a") == {
        "id": "a",
        "text_input": "hi",
        "sampling_param_max_tokens": 9,
        "sampling_param_seed": 7,
        "sampling_param_temperature": 0.5,
        "sampling_param_top_p": 0.9,
        "sampling_param_exclude_input_from_output": True,
        "return_finish_reason": True,
        "streaming": True,
    }


def test_what_the_model_cannot_be_told_is_known() -> None:
    assert Served.of(config(LLM_API), {}).unknown({**OPTIONS, "min_tokens": 1}) == ["min_tokens"]
    assert Served.of(config(OLD), {}).unknown(OPTIONS) == []


def test_where_the_tokenizer_lies_is_said_by_the_models() -> None:
    preprocessing = {"parameters": {"tokenizer_dir": {"string_value": "/srv/model"}}}
    assert Served.of(config(OLD), preprocessing).directories == ("/srv/model", "/srv/engine")


@pytest.mark.parametrize(
    ("served", "answer", "ids"),
    [
        (config(OLD), {"output_ids": [5, 6], "sequence_length": 2}, [5, 6]),
        (config(OLD), {"output_ids": 5, "sequence_length": 1}, [5]),
        (config(OLD), {"output_ids": [5, 0, 0], "sequence_length": [1]}, [5]),
        (config(OLD, excludes="false"), {"output_ids": [5]}, [5]),  # a stream has none of it
        (config(OLD, decoupled=False, excludes="false"), {"output_ids": [1, 2, 5, 6]}, [5, 6]),
        (config(OLD, decoupled=False, excludes="${x}"), {"output_ids": [1, 2, 5]}, [5]),
        (config(OLD, decoupled=False), {"output_ids": [5, 6]}, [5, 6]),
        (config(NEW, decoupled=False, excludes="false"), {"output_ids": [5, 6]}, [5, 6]),
        (config(OLD), {}, []),
    ],
)
def test_the_tokens_are_those_of_the_answer(
    served: dict[str, Any], answer: dict[str, Any], ids: list[int]
) -> None:
    assert Served.of(served, {}).tokens(answer, [1, 2]) == ids
