from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2

from tests.doubles.tensorrt_llm.repositories import KEYS, template

Modules = dict[str, ModuleType]

VERSIONS = tuple(KEYS)


def parsed(text: str) -> Any:
    return text_format.Parse(text, model_config_pb2.ModelConfig())


@pytest.mark.parametrize("version", VERSIONS)
def test_parameters_and_their_quotes_are_read_from_the_template(
    fill_modules: Modules, version: str
) -> None:
    placeholders = fill_modules["placeholders"]
    for model, (bare, quoted) in KEYS[version].items():
        found = placeholders.parse(template(version, model))
        by_context = {
            context: {item.name for item in found if item.context == context}
            for context in ("bare", "quoted", "comment")
        }
        assert by_context["bare"] == set(bare.split())
        assert by_context["quoted"] == set(quoted.split())
        assert by_context["comment"] == {"this_is_a_comment"}
        assert "this_is_a_comment" not in placeholders.names(found)
        assert placeholders.hard(found) >= set(bare.split())


def test_known_fatal_parameters_are_hard_though_quoted(fill_modules: Modules) -> None:
    placeholders = fill_modules["placeholders"]
    hard = placeholders.hard(placeholders.parse(template("1.2", "tensorrt_llm")))
    assert {"triton_backend", "batching_strategy", "engine_dir", "logits_datatype"} <= hard
    assert not {"decoding_mode", "gpu_device_ids", "max_beam_width"} & hard


def test_an_unfilled_hard_parameter_is_refused_by_name(fill_modules: Modules) -> None:
    placeholders, error = fill_modules["placeholders"], fill_modules["errors"].FillError
    with pytest.raises(error, match="ensemble: triton_max_batch_size must be filled"):
        placeholders.fill(template("da59830", "ensemble"), {}, "ensemble")
    with pytest.raises(error, match="batching_strategy, engine_dir must be filled"):
        placeholders.fill(
            template("da59830", "tensorrt_llm"),
            {
                "triton_max_batch_size": 1,
                "decoupled_mode": False,
                "max_queue_delay_microseconds": 0,
            },
            "tensorrt_llm",
        )


def test_a_soft_parameter_keeps_its_place(fill_modules: Modules) -> None:
    values = {"triton_max_batch_size": 64, "tokenizer_dir": "/t", "preprocessing_instance_count": 1}
    text, left = fill_modules["placeholders"].fill(
        template("da59830", "preprocessing"), values, "preprocessing"
    )
    assert left == {"add_special_tokens"}
    assert 'string_value: "${add_special_tokens}"' in text
    assert parsed(text).max_batch_size == 64


def test_an_unknown_parameter_is_refused_with_the_nearest(fill_modules: Modules) -> None:
    with pytest.raises(
        fill_modules["errors"].FillError, match="no parameter kv_cache_free_gpu_mem"
    ):
        fill_modules["placeholders"].refuse_unknown(
            ["kv_cache_free_gpu_mem_fractions"], ["kv_cache_free_gpu_mem_fraction", "engine_dir"]
        )
    with pytest.raises(fill_modules["errors"].FillError) as caught:
        fill_modules["placeholders"].refuse_unknown(["engin_dir"], ["engine_dir"])
    assert caught.value.hint == "did you mean engine_dir?"


@pytest.mark.parametrize("value", ["1 }", "", "a b", "${x}", "TYPE_FP32\nname: 1", '"'])
def test_what_cannot_stand_without_quotes_is_refused(fill_modules: Modules, value: str) -> None:
    with pytest.raises(fill_modules["errors"].FillError, match="stands without quotes"):
        fill_modules["placeholders"].fill("max_batch_size: ${n}", {"n": value}, "model")


@given(value=st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r")))
def test_any_quoted_value_arrives_as_it_is(fill_modules: Modules, value: str) -> None:
    # Upstream's fill_template.py fails on ':' and ',' (da59830), and escapes nothing.
    text, _ = fill_modules["placeholders"].fill(
        'parameters { key: "k" value { string_value: "${v}" } }', {"v": value}, "m"
    )
    assert parsed(text).parameters["k"].string_value == value


@pytest.mark.parametrize("value", [True, False])
def test_booleans_are_read_with_and_without_quotes(fill_modules: Modules, value: bool) -> None:
    text, _ = fill_modules["placeholders"].fill(
        'model_transaction_policy { decoupled: ${d} } parameters { key: "d" '
        'value { string_value: "${d}" } }',
        {"d": value},
        "m",
    )
    config = parsed(text)
    assert config.model_transaction_policy.decoupled is value
    assert config.parameters["d"].string_value == str(value)
