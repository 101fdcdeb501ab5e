"""Parameters and KV cache, from config.json alone."""

from __future__ import annotations

from typing import Any

import pytest

from roles.preflight.sizing.architectures import KNOWN, read
from roles.preflight.sizing.card import file_sizes
from roles.preflight.sizing.fit import kv_sequence_bytes, kv_token_bytes, size, weight_bytes
from roles.preflight.sizing.plan import GIB, Gpus, Plan
from tests.unit.preflight.published import (
    DEEPSEEK_V2_LITE,
    DEEPSEEK_V3,
    GEMMA_2_9B,
    GEMMA_3_1B,
    LLAMA_2_7B,
    LLAMA_2_70B,
    LLAMA_3_8B,
    LLAMA_32_1B,
    MISTRAL_7B,
    MODELS,
    PHI_3_MINI,
    QWEN_3_8B,
    QWEN_25_7B,
    Published,
)

H100 = Gpus(1, 81559, 90, "NVIDIA H100 80GB HBM3")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_parameters_are_the_published_ones(model: Published) -> None:
    assert read(model.config).parameters == pytest.approx(model.parameters, rel=0.005)
    assert read(model.config).notes == ()


def test_every_known_architecture_is_compared_with_a_published_model() -> None:
    compared = {model.config["architectures"][0] for model in MODELS}
    same = {"GemmaForCausalLM", "Gemma3ForConditionalGeneration"}  # counted as their siblings
    assert set(KNOWN) - compared == same


def test_a_tied_head_takes_no_memory_of_its_own() -> None:
    assert read(LLAMA_32_1B).head == 0
    untied = read({**LLAMA_32_1B, "tie_word_embeddings": False})
    assert untied.parameters - read(LLAMA_32_1B).parameters == 128256 * 2048


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (DEEPSEEK_V2_LITE, 27 * (512 + 64) * 2),
        (DEEPSEEK_V3, 61 * (512 + 64) * 2),
        (QWEN_3_8B, 2 * 36 * 8 * 128 * 2),
        (GEMMA_2_9B, 2 * 42 * 8 * 256 * 2),
    ],
)
def test_kv_cache_by_architecture(config: dict[str, Any], expected: int) -> None:
    assert kv_token_bytes(read(config), Plan()) == expected


def test_latent_attention_is_not_divided_by_tensor_parallelism() -> None:
    model = read(DEEPSEEK_V3)
    assert kv_token_bytes(model, Plan(tp_size=8)) == kv_token_bytes(model, Plan())
    assert kv_token_bytes(model, Plan(pp_size=2)) == 31 * 576 * 2


@pytest.mark.parametrize(
    ("config", "full", "windowed"),
    [
        (MISTRAL_7B, 0, 32),
        (GEMMA_2_9B, 21, 21),
        (GEMMA_3_1B, 4, 22),
        (PHI_3_MINI, 0, 32),
        (QWEN_25_7B, 28, 0),  # use_sliding_window is false
        ({**QWEN_25_7B, "use_sliding_window": True, "sliding_window": 64}, 0, 28),
        ({**GEMMA_2_9B, "layer_types": ["sliding_attention", "full_attention"] * 21}, 21, 21),
    ],
)
def test_a_sliding_window_bounds_the_cache_of_a_sequence(
    config: dict[str, Any], full: int, windowed: int
) -> None:
    model = read(config)
    window = config["sliding_window"] if windowed else 0
    tokens, plan = 16384, Plan(tokens_per_block=1)
    each = kv_token_bytes(model, plan) / (full + windowed)
    expected = each * (full * tokens + windowed * min(tokens, window))
    assert kv_sequence_bytes(model, plan, tokens) == pytest.approx(expected)


def test_a_sequence_takes_whole_blocks() -> None:
    model = read(LLAMA_2_7B)
    assert kv_sequence_bytes(model, Plan(tokens_per_block=64), 65) == 128 * 524_288


def test_a_quantised_checkpoint_is_as_large_as_published() -> None:
    """TheBloke/Llama-2-70B-Chat-AWQ: about 36.5 GB (Cornell-RelaxML/quip-sharp, issue 46)."""
    awq = {"quant_method": "awq", "bits": 4, "group_size": 128}
    model = read({**LLAMA_2_70B, "quantization_config": awq})
    assert weight_bytes(model, Plan()) / 1e9 == pytest.approx(36.5, rel=0.005)


@pytest.mark.parametrize(
    ("config", "each"),
    [
        ({"quant_method": "fp8"}, 1.0),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, 1 + 4 / 16384),
        ({"quant_method": "modelopt", "quantization": {"quant_algo": "FP8"}}, 1.0),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, 0.5625),
        ({"quant_method": "modelopt", "quantization": {"quant_algo": "W4A16_AWQ"}}, 0.515625),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, 0.5),
        ({"quant_method": "mxfp4"}, 0.53125),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {
                    "group_0": {
                        "weights": {"num_bits": 4, "type": "int", "group_size": 128},
                    }
                },
            },
            0.515625,
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {
                    "group_0": {
                        "weights": {"num_bits": 8, "type": "float", "strategy": "tensor"},
                    }
                },
            },
            1.0,
        ),
    ],
)
def test_quantization_as_the_checkpoint_says_it(config: dict[str, Any], each: float) -> None:
    held = read({**LLAMA_3_8B, "quantization_config": config}).quantization
    assert held.linear_bytes(4096, 4096, 2) / 4096**2 == pytest.approx(each, rel=1e-3)


def test_the_kv_cache_is_held_as_the_checkpoint_wishes() -> None:
    said = {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}
    config = {**LLAMA_3_8B, "quantization_config": {"quant_method": "modelopt", **said}}
    assert kv_token_bytes(read(config), Plan()) == 131_072 / 2
    assert kv_token_bytes(read(config), Plan(kv_dtype="float16")) == 131_072


def test_a_quantization_that_is_not_known_is_sized_by_its_files() -> None:
    model = read({**LLAMA_3_8B, "quantization_config": {"quant_method": "new"}}, 5 * GIB)
    assert weight_bytes(model, Plan()) == 5 * GIB
    assert "quantization method 'new' is not known" in model.notes[0]


def test_an_unknown_architecture_says_so_and_is_as_large_as_its_files() -> None:
    config = {**LLAMA_3_8B, "architectures": ["BrandNewForCausalLM"]}
    sizing = size(read(config, 16 * GIB), Plan(max_seq_len=4096), H100)
    assert (sizing.weights, sizing.kv_token) == (16 * GIB, 131_072)
    assert "BrandNewForCausalLM is not an architecture known here" in sizing.remarks[0]
    assert size(read(config), Plan(max_seq_len=4096), H100).verdict == "tight"


@pytest.mark.parametrize("config", [{}, {"architectures": []}, {"model_type": "mamba", "n": 1}])
def test_a_config_that_says_little_is_no_error(config: dict[str, Any]) -> None:
    model = read(config, GIB)
    assert model.parameters == 0 and "not an architecture known here" in model.notes[0]
    assert size(model, Plan(), H100).weights == GIB


def test_a_known_architecture_without_its_numbers_says_what_is_missing() -> None:
    model = read({"architectures": ["LlamaForCausalLM"], "hidden_size": 4096}, GIB)
    assert model.notes == ("config.json has no num_attention_heads",)


def test_what_is_no_language_model_counts_by_its_files() -> None:
    text = {key: value for key, value in GEMMA_3_1B.items() if key != "architectures"}
    config = {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "text_config": {**text, "model_type": "gemma3_text"},
        "vision_config": {"hidden_size": 1152},
        "torch_dtype": "bfloat16",
    }
    assert read(config).parameters == 999_885_952
    assert weight_bytes(read(config, 3 * GIB), Plan()) == 3 * GIB
    assert "no language model" in read(config).notes[0]


def test_a_language_model_within_another_architecture_is_known_by_its_type() -> None:
    inner = {key: value for key, value in LLAMA_3_8B.items() if key != "architectures"}
    config = {
        "architectures": ["LlavaForConditionalGeneration"],
        "text_config": {**inner, "model_type": "llama"},
    }
    model = read(config, 20 * GIB)
    assert (model.parameters, model.architecture) == (8_030_261_248, config["architectures"][0])
    assert weight_bytes(model, Plan()) == 20 * GIB


def test_the_weights_are_the_shards_that_the_index_names() -> None:
    sizes = {
        "model-1.safetensors": 10,
        "model-2.safetensors": 7,
        "consolidated.safetensors": 17,
        "original/x.pth": 17,
        "config.json": 1,
    }
    files = file_sizes(sizes, ["model-1.safetensors", "model-2.safetensors"])
    assert (files.weights, files.largest, files.total) == (17, 10, 52)
    alone = file_sizes({"model.safetensors": 5, "consolidated.safetensors": 5, "x.bin": 9}, [])
    assert (alone.weights, alone.total) == (5, 19)
    assert file_sizes({"pytorch_model.bin": 3, "training/optimizer.bin": 9}, []).weights == 3
