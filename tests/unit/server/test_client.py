"""How each kind of served model is asked."""

from __future__ import annotations

import json

import pytest

from rolecall.errors import RolecallError
from roles.server.client import Sampling, Served
from roles.server.talk import parse_format

# The names of the input tensors, from config.pbtxt in all_models of tensorrtllm_backend da59830,
# of TensorRT-LLM 1.2's inflight_batcher_llm, and of its llmapi.
COMMON = {"text_input", "max_tokens", "bad_words", "stop_words", "end_id", "pad_id", "stream"}
SAMPLED = {"temperature", "top_k", "top_p"}
OLD = Served("ensemble", frozenset(COMMON | SAMPLED | {"random_seed"}), True)
NEW = Served("tensorrt_llm_bls", frozenset(COMMON | SAMPLED | {"seed"}), True)
LLM_API = Served(
    "tensorrt_llm",
    frozenset(
        {"text_input", "streaming", "stop", "sampling_param_exclude_input_from_output"}
        | {f"sampling_param_{name}" for name in ("max_tokens", "seed", *SAMPLED)}
    ),
    True,
)
ALL = Sampling(9, 0.5, 3, 0.9, 7, 2, 1)


def test_inflight_batcher_llm_is_asked_with_empty_word_lists_and_ids() -> None:
    assert OLD.body("hi", ALL, stream=False) == {
        "text_input": "hi",
        "max_tokens": 9,
        "temperature": 0.5,
        "top_k": 3,
        "top_p": 0.9,
        "random_seed": 7,
        "end_id": 2,
        "pad_id": 1,
        "bad_words": "",
        "stop_words": "",
    }


def test_the_seed_has_the_name_of_its_version() -> None:
    body = NEW.body("hi", ALL, stream=True)
    assert body["seed"] == 7 and "random_seed" not in body
    assert body["stream"] is True and "bad_words" not in body


def test_the_llm_api_has_names_of_its_own_and_needs_no_ids() -> None:
    assert LLM_API.is_llm_api and not OLD.is_llm_api
    assert LLM_API.body("hi", ALL, stream=True) == {
        "text_input": "hi",
        "sampling_param_max_tokens": 9,
        "sampling_param_temperature": 0.5,
        "sampling_param_top_k": 3,
        "sampling_param_top_p": 0.9,
        "sampling_param_seed": 7,
        "sampling_param_exclude_input_from_output": True,
        "streaming": True,
    }
    assert "streaming" not in LLM_API.body("hi", Sampling(), stream=False)


def test_an_option_that_the_model_has_no_input_for_is_refused() -> None:
    small = Served("ensemble", frozenset({"text_input", "max_tokens"}))
    with pytest.raises(RolecallError, match="cannot be told top_k"):
        small.body("hi", Sampling(top_k=1), stream=False)


def test_the_chat_template_may_stand_in_either_file() -> None:
    config = {
        "bos_token": {"content": "<s>", "lstrip": False},
        "eos_token": "</s>",
        "model_max_length": 4096,
        "chat_template": "inside",
    }
    inside = parse_format("", json.dumps(config))
    assert inside.template == "inside"
    assert inside.tokens == {"bos_token": "<s>", "eos_token": "</s>"}
    assert parse_format("beside", json.dumps(config)).template == "beside"
    several = [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]
    assert parse_format("", json.dumps({**config, "chat_template": several})).template == "d"
    assert parse_format("", "").template == ""
