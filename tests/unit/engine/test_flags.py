"""The tables of flags against the doubles' command lines, which were written from upstream."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from roles.engine.tensorrt_llm.command import build_command, checkpoint_command
from roles.engine.tensorrt_llm.settings import TensorrtLlm
from roles.engine.tensorrt_llm.tables import Flag, Table, known_versions, table
from tests.doubles.tensorrt_llm.interface import (
    build_parser,
    convert_parser,
    quantize_parser,
    qwen_parser,
)

VERSIONS = ("0.8.0", "0.9.0.dev2024022700", "1.2.1")

Parser = Callable[[str], argparse.ArgumentParser]

#: Flags of several words, which the settings cannot give.
MANY = {"rotary_scaling", "lora_target_modules", "lora_dir"}


def tools(known: Table) -> list[tuple[Parser, dict[str, Flag]]]:
    build = {**known.build.flags, **known.plugins}
    return [
        (convert_parser, dict(known.convert.flags)),
        (quantize_parser, dict(known.quantize.flags)),
        (build_parser, build),
    ]


def actions(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {
        option[2:]: action
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--") and option != "--help"
    }


def test_every_version_is_known_to_both() -> None:
    assert known_versions() == VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_every_flag_is_the_tools_own(version: str) -> None:
    for parser, flags in tools(table(version)):
        theirs = actions(parser(version))
        assert set(flags) <= set(theirs), parser.__name__
        for name, flag in flags.items():
            takes_none = theirs[name].nargs == 0
            assert takes_none == (flag.type == "switch"), (parser.__name__, name)


@pytest.mark.parametrize("version", VERSIONS)
def test_no_flag_of_one_word_is_missing(version: str) -> None:
    aliases = {"max_multimodal_len", "max_decoder_seq_len", "paged_kv_cache"}
    rare = {"nemo_ckpt_path", "quant_medusa_head", "calib_tp_size", "calib_pp_size"}
    for parser, flags in tools(table(version)):
        missing = set(actions(parser(version))) - set(flags) - MANY - aliases - rare
        assert not missing, parser.__name__


def test_another_familys_program_lacks_flags() -> None:
    tool = table("1.2.1").convert
    theirs = actions(qwen_parser())
    assert set(tool.of_family("qwen").flags) == set(theirs)
    assert set(tool.lacks["qwen"]) == set(tool.flags) - set(theirs)
    assert tool.of_family("llama") is tool
    qwen = {"version": "1.2.1", "family": "qwen"}
    settings = TensorrtLlm(**qwen, quantization="smoothquant", dtype="bfloat16")
    words = checkpoint_command(settings, table("1.2.1")).words
    qwen_parser().parse_args(["--model_dir", "/m", *words])
    for lacking in (
        {"load_by_shard": True},
        {"kv_cache_dtype": "fp8"},
        {"quantization": "int4_gptq", "quantized_checkpoint": "/q"},
        {"quantization": "smoothquant", "calibration_size": 8},
    ):
        with pytest.raises(ValidationError, match="has no flag for it"):
            TensorrtLlm.model_validate({**qwen, **lacking})


@pytest.mark.parametrize("version", VERSIONS)
def test_defaults_and_choices_are_the_tools_own(version: str) -> None:
    for parser, flags in tools(table(version)):
        theirs = actions(parser(version))
        for name, flag in flags.items():
            action = theirs[name]
            if flag.default is not None:
                assert flag.default == action.default, (parser.__name__, name)
            choices: list[Any] = ["enable", "disable"] if flag.type == "enable" else []
            choices = choices or list(flag.choices)
            if choices and action.choices is not None:
                allowed = {str(choice) for choice in action.choices if choice is not None}
                assert set(choices) == allowed, (parser.__name__, name)


#: Settings to try, each with the versions that have a flag for it.
POSSIBLE: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, VERSIONS),
    ({"dtype": "bfloat16", "tp_size": 2, "pp_size": 2, "workers": 4}, VERSIONS),
    ({"dtype": "auto"}, ("1.2.1",)),
    ({"quantization": "int8", "kv_cache_dtype": "int8"}, VERSIONS),
    ({"quantization": "int4", "kv_cache_dtype": "fp8"}, VERSIONS),
    ({"quantization": "int4_gptq", "quantized_checkpoint": "/q.safetensors"}, VERSIONS),
    ({"quantization": "int4_awq", "group_size": 64, "calibration_size": 32}, VERSIONS),
    ({"quantization": "smoothquant", "smoothquant": 0.8}, VERSIONS),
    ({"quantization": "fp8", "kv_cache_dtype": "fp8", "tp_size": 2}, VERSIONS),
    ({"load_model_on_cpu": True, "use_parallel_embedding": True}, VERSIONS),
    ({"load_by_shard": True, "embedding_sharding_dim": 1}, VERSIONS),
    ({"use_embedding_sharing": True}, VERSIONS[:2]),
    ({"max_output_len": 512}, VERSIONS[:2]),
    ({"max_seq_len": 4096}, VERSIONS[2:]),
    ({"max_batch_size": None, "max_input_len": None, "max_num_tokens": 4096}, VERSIONS),
    ({"max_beam_width": 4, "plugins": {"gemm_plugin": "float16"}}, VERSIONS),
    ({"plugins": {"paged_kv_cache": True, "tokens_per_block": 64}}, VERSIONS[:2]),
    ({"plugins": {"gemm_plugin": "fp8", "use_paged_context_fmha": False}}, VERSIONS[2:]),
    ({"build_flags": {"gather_all_token_logits": True, "max_draft_len": 3}}, VERSIONS[1:]),
    ({"convert_flags": {"calib_size": 16, "remove_duplicated_kv_heads": True}}, VERSIONS[2:]),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("number", range(len(POSSIBLE)))
def test_a_command_is_one_that_the_tools_accept(number: int, version: str) -> None:
    asked, possible = POSSIBLE[number]
    if version not in possible:
        with pytest.raises(ValueError, match="TensorRT-LLM"):
            TensorrtLlm(version=version, **asked)
        return
    settings = TensorrtLlm(version=version, **asked)
    convert = checkpoint_command(settings, table(version))
    parser = quantize_parser if "quantize" in convert.program else convert_parser
    parser(version).parse_args(["--model_dir", "/m", "--output_dir", "/o", *convert.words])
    build = build_command(settings, table(version))
    build_parser(version).parse_args(["--checkpoint_dir", "/c", "--output_dir", "/o", *build.words])


def flags(version: str, **given: Any) -> tuple[str, str]:
    settings = TensorrtLlm(version=version, **given)
    commands = checkpoint_command(settings, table(version)), build_command(settings, table(version))
    return " ".join(commands[0].words), " ".join(commands[1].words)


def test_the_commands_in_words() -> None:
    assert flags("0.8.0") == ("--dtype float16", "--max_batch_size 64")
    assert flags(
        "0.9.0.dev2024022700",
        quantization="int4_gptq",
        quantized_checkpoint="/q.safetensors",
        tp_size=2,
    )[0] == (
        "--dtype float16 --tp_size 2 --use_weight_only --weight_only_precision int4_gptq "
        "--per_group --ammo_quant_ckpt_path /q.safetensors"
    )
    assert flags(
        "1.2.1",
        dtype="bfloat16",
        quantization="smoothquant",
        kv_cache_dtype="int8",
        max_seq_len=4096,
        plugins={"gemm_plugin": "auto", "use_fused_mlp": False},
    ) == (
        "--dtype bfloat16 --smoothquant 0.5 --per_token --per_channel --int8_kv_cache",
        "--max_batch_size 64 --max_seq_len 4096 --gemm_plugin auto --use_fused_mlp disable",
    )


_SIZES = st.integers(1, 4096) | st.none()

_SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["auto", "float16", "bfloat16", "float32"]),
        "quantization": st.sampled_from(
            ["none", "int8", "int4", "int4_gptq", "int4_awq", "smoothquant", "fp8"]
        ),
        "quantized_checkpoint": st.sampled_from(["", "/q.safetensors"]),
        "kv_cache_dtype": st.sampled_from(["auto", "int8", "fp8"]),
        "tp_size": st.integers(1, 8),
        "pp_size": st.integers(1, 4),
        "workers": st.integers(1, 8),
        "group_size": st.sampled_from([64, 128]),
        "calibration_size": _SIZES,
        "load_model_on_cpu": st.booleans(),
        "load_by_shard": st.booleans(),
        "use_parallel_embedding": st.booleans(),
        "embedding_sharding_dim": st.sampled_from([0, 1]),
        "use_embedding_sharing": st.booleans(),
        "max_batch_size": _SIZES,
        "max_input_len": _SIZES,
        "max_output_len": _SIZES,
        "max_seq_len": _SIZES,
        "max_num_tokens": _SIZES,
        "max_beam_width": _SIZES,
        "plugins": st.dictionaries(
            st.sampled_from(["gemm_plugin", "paged_kv_cache", "tokens_per_block", "moe_plugin"]),
            st.sampled_from(["float16", "auto", True, False, 64]),
        ),
    },
)


@pytest.mark.parametrize("version", VERSIONS)
@given(chosen=_SETTINGS)
def test_settings_are_refused_or_accepted_by_the_tools(
    version: str, chosen: dict[str, Any]
) -> None:
    try:
        settings = TensorrtLlm(version=version, **chosen)
    except ValidationError:
        return
    convert = checkpoint_command(settings, table(version))
    parser = quantize_parser if "quantize" in convert.program else convert_parser
    parser(version).parse_args(["--model_dir", "/m", "--output_dir", "/o", *convert.words])
    build = build_command(settings, table(version))
    build_parser(version).parse_args(["--checkpoint_dir", "/c", *build.words])
