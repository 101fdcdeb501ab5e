"""The published figures of GPU memory, each computed from config.json and settings.

They were collected from TensorRT-LLM's documentation and issues: docs/source/reference/memory.md
(655524d and later), tensorrtllm_backend issue 366, tensorrtllm_backend docs/llama.md, and the
published recipe for Llama-2-7b-chat on Triton 24.02.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from roles.preflight.sizing.architectures import read
from roles.preflight.sizing.fit import (
    ACTIVATIONS_LEAST,
    LIMIT,
    activation_bytes,
    kv_token_bytes,
    kv_tokens,
    least_kv_tokens,
    size,
    weight_bytes,
)
from roles.preflight.sizing.plan import GIB, MIB, Gpus, Plan
from roles.preflight.sizing.quantization import named
from tests.unit.preflight.published import LLAMA_2_7B, LLAMA_2_70B, LLAMA_3_8B, MISTRAL_7B

LLAMA = read(LLAMA_2_7B)

#: The published recipe: its engine flags and template parameters; GPU memory is in GiB.
RECIPE = Plan(
    "engine",
    dtype="float16",
    max_batch_size=64,
    max_seq_len=2048,
    max_tokens_in_paged_kv_cache=2560,
    tokens_per_block=128,
    kv_fraction=0.5,
)


def gpu(gib: float, count: int = 1) -> Gpus:
    return Gpus(count, int(gib * 1024), 90)


def test_llama_2_7b_in_16_bits_is_12_55_gib() -> None:
    assert weight_bytes(LLAMA, Plan(dtype="float16")) / GIB == pytest.approx(12.55, abs=0.005)


@pytest.mark.parametrize(
    ("quantization", "each"),
    [
        ("none", 2.0),
        ("fp8", 1.0),
        ("int8", 1.0),
        ("int8_sq", 1.0),
        ("int4_awq", 0.5 + 2 / 128),
        ("int4", 0.5),
        ("nvfp4", 0.5 + 1 / 16),
    ],
)
def test_bytes_of_a_linear_weight(quantization: str, each: float) -> None:
    found = named(quantization).linear_bytes(4096, 4096, 2.0) / 4096**2
    assert found == pytest.approx(each, rel=1e-3)


def test_weights_are_divided_by_tensor_and_pipeline_parallelism() -> None:
    model = read(LLAMA_2_70B)
    whole = weight_bytes(model, Plan())
    for tp_size, pp_size in ((2, 1), (4, 2), (8, 1), (1, 4)):
        part = weight_bytes(model, Plan(tp_size=tp_size, pp_size=pp_size, split_embedding=True))
        assert part == pytest.approx(whole / (tp_size * pp_size), rel=0.01)


@pytest.mark.parametrize(
    ("config", "plan", "expected"),
    [
        (LLAMA_2_7B, Plan(), 524_288),
        (LLAMA_2_7B, Plan(kv_dtype="fp8"), 262_144),
        (LLAMA_2_7B, Plan(kv_dtype="int8"), 262_144),
        (MISTRAL_7B, Plan(tp_size=4), 32_768),
        (LLAMA_3_8B, Plan(), 131_072),
        (LLAMA_2_70B, Plan(), 327_680),
    ],
)
def test_kv_cache_of_a_token(config: dict[str, object], plan: Plan, expected: int) -> None:
    assert kv_token_bytes(read(config), plan) == expected


def test_kv_cache_of_a_token_agrees_with_upstreams_logs() -> None:
    memory_md = 63.44 * GIB / 259_840
    assert memory_md == pytest.approx(262_154, abs=1)
    assert kv_token_bytes(LLAMA, Plan(kv_dtype="fp8")) == pytest.approx(memory_md, rel=1e-4)
    issue_366 = 956_301_312 / 29_184
    assert kv_token_bytes(read(MISTRAL_7B), Plan(tp_size=4)) == issue_366


def test_fewer_kv_heads_than_gpus_are_kept_by_each() -> None:
    assert kv_token_bytes(read(LLAMA_2_70B), Plan(tp_size=16)) == 327_680 / 8


@pytest.mark.parametrize(("fraction", "allowed"), [(0.85, 0), (0.9, 0), (0.5, 2560)])
def test_tokens_of_the_kv_cache(fraction: float, allowed: int) -> None:
    plan = replace(RECIPE, kv_fraction=fraction, max_tokens_in_paged_kv_cache=allowed)
    free = 40 * GIB
    tokens = int(fraction * free / 524_288)
    expected = min(tokens, allowed) if allowed else tokens
    assert kv_tokens(size(LLAMA, plan, gpu(80)), free) == expected


def test_the_fraction_is_0_9_where_nothing_is_set() -> None:
    assert Plan().kv_fraction == 0.9


def test_the_recipes_2560_tokens_hold_one_sequence_and_are_1_25_gib() -> None:
    assert least_kv_tokens(RECIPE, 2048) == 2048 <= 2560
    assert size(LLAMA, RECIPE, gpu(18)).kv_batch / GIB == 1.25
    assert least_kv_tokens(replace(RECIPE, max_beam_width=2), 2000) == 2 * 128 * 16


def test_a_kv_cache_too_small_for_one_sequence_is_refused() -> None:
    sizing = size(LLAMA, replace(RECIPE, max_seq_len=4096), gpu(80))
    assert sizing.verdict == "does not fit"
    assert "2560 is less than the 4096 tokens" in sizing.problems[0]


def test_the_estimate_of_activations_covers_upstreams_sample() -> None:
    sample = (1134 + 43 + 180) * MIB
    assert sample < ACTIVATIONS_LEAST < 1.2 * sample
    assert activation_bytes(LLAMA, RECIPE, 2048) >= sample


def test_activations_grow_with_the_tokens_of_a_pass() -> None:
    many = [activation_bytes(LLAMA, Plan(max_num_tokens=n), 2048) for n in (32768, 65536)]
    assert many[1] == pytest.approx(2 * many[0], rel=0.01)


def test_the_recipe_takes_16_3_gib_which_18_hold_and_16_hardly() -> None:
    sizing = size(LLAMA, RECIPE, gpu(18))
    parts = (sizing.weights, sizing.kv_batch, sizing.activations, sizing.runtime)
    assert [round(part / GIB, 1) for part in parts] == [12.6, 1.2, 1.5, 1.1]
    assert sizing.needed / GIB == pytest.approx(16.3, abs=0.1)
    assert sizing.verdict == "fits"
    assert size(LLAMA, RECIPE, gpu(16)).verdict == "tight"
    assert size(LLAMA, RECIPE, gpu(14)).verdict == "does not fit"


def test_upstreams_25_gb_for_llama_lie_between_the_least_and_what_half_of_the_rest_gives() -> None:
    sizing = size(LLAMA, replace(RECIPE, max_tokens_in_paged_kv_cache=0), gpu(80))
    free = sizing.total - sizing.weights - sizing.activations - sizing.runtime
    most = sizing.total - free + kv_tokens(sizing, free) * sizing.kv_token
    assert sizing.least < 25e9 < most


@pytest.mark.parametrize(("more", "verdict"), [(1.0001, "does not fit"), (0.9999, "tight")])
def test_it_does_not_fit_when_weights_and_one_sequence_exceed_95_percent(
    more: float, verdict: str
) -> None:
    plan = replace(RECIPE, max_tokens_in_paged_kv_cache=0)
    least = size(LLAMA, plan, gpu(80)).least
    sizing = size(LLAMA, plan, Gpus(1, round(least / LIMIT / more / MIB), 90))
    assert (sizing.least > sizing.total * LIMIT, sizing.verdict) == (more > 1, verdict)
