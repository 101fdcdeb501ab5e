"""What is proposed to make a model fit: each proposal holds, and the next larger one does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.preflight.sizing.advice import advise
from roles.preflight.sizing.architectures import read
from roles.preflight.sizing.fit import VERDICTS, size
from roles.preflight.sizing.plan import Gpus, Plan
from roles.preflight.sizing.texts import proposals, reason
from tests.unit.preflight.published import LLAMA_2_7B, LLAMA_2_70B, MODELS, QWEN_3_8B

H100 = Gpus(1, 81559, 90, "NVIDIA H100 80GB HBM3")
A10 = Gpus(1, 23028, 86, "NVIDIA A10")
T4 = Gpus(1, 15360, 75, "Tesla T4")
NAMES = {"max_seq_len": "repo.llmapi.max_seq_len", "quantization": "model.source: it in {}"}


def changes(plan: Plan, config: dict[str, object], gpus: Gpus) -> list[str]:
    return [advice.text for advice in advise(read(config), plan, gpus)]


def test_nothing_is_proposed_for_what_fits() -> None:
    assert changes(Plan(max_batch_size=4, max_seq_len=4096), LLAMA_2_7B, H100) == []


def test_single_settings_come_first_and_are_called_as_the_user_sets_them() -> None:
    plan = Plan("llmapi", max_batch_size=64, max_seq_len=8192, names=NAMES, split_embedding=True)
    said = changes(plan, QWEN_3_8B, H100)
    assert said[0] == "repo.llmapi.max_seq_len=6400"
    assert said[1] == "max_batch_size=51"
    assert "kv_dtype=fp8" in said
    assert "model.source: it in fp8, kv_dtype=fp8" in said
    assert "tp_size=2 (on 2 GPUs)" in said


def test_what_the_gpu_cannot_compute_is_not_proposed() -> None:
    said = changes(Plan(max_batch_size=64, max_seq_len=2560), LLAMA_2_7B, A10)
    assert said
    assert not [text for text in said if "fp8" in text or "nvfp4" in text]


def test_bfloat16_on_an_older_gpu_becomes_float16_with_whatever_else_it_takes() -> None:
    plan = Plan(max_batch_size=8, max_seq_len=2048)
    sizing = size(read(QWEN_3_8B), plan, T4)
    assert sizing.verdict == "does not fit"
    assert reason(sizing) == ["dtype: bfloat16 needs compute capability 8.0; the GPU has 7.5"]
    said = changes(plan, QWEN_3_8B, T4)
    assert said and all(text.startswith("dtype=float16") for text in said)


@pytest.mark.parametrize(
    ("plan", "gpus", "said"),
    [
        (Plan(quantization="fp8", max_seq_len=1024), A10, "quantization=int8"),
        (Plan(kv_dtype="fp8", max_seq_len=1024), A10, "kv_dtype=int8"),
        (Plan(tp_size=2, max_seq_len=1024), A10, "tp_size=1"),
        (Plan(tp_size=3, max_seq_len=1024), replace(H100, count=4), "tp_size=2"),
        (
            Plan(max_seq_len=1024, max_tokens_in_paged_kv_cache=512),
            H100,
            "max_tokens_in_paged_kv_cache=1024",
        ),
    ],
)
def test_an_impossible_setting_is_set_right(plan: Plan, gpus: Gpus, said: str) -> None:
    assert size(read(LLAMA_2_7B), plan, gpus).verdict == "does not fit"
    assert changes(plan, LLAMA_2_7B, gpus)[0] == said


def test_a_model_for_several_gpus_says_how_many() -> None:
    plan = Plan(max_batch_size=8, max_seq_len=4096)
    assert "tp_size=4 (on 4 GPUs)" in changes(plan, LLAMA_2_70B, H100)
    four = replace(H100, count=4)
    assert "tp_size=4" in changes(plan, LLAMA_2_70B, four)


def test_one_process_sees_one_mig_instance() -> None:
    mig = Gpus(1, 19968, 80, "NVIDIA A100-SXM4-80GB", mig="3g.20gb 3g.20gb")
    sizing = size(read(LLAMA_2_7B), Plan(tp_size=2, max_seq_len=1024), mig)
    assert "MIG instances 3g.20gb 3g.20gb, of which a process sees one" in sizing.problems[0]


plans = st.builds(
    Plan,
    recipe=st.sampled_from(["engine", "llmapi", "vllm"]),
    quantization=st.sampled_from(["none", "fp8", "int8", "int4_awq"]),
    kv_dtype=st.sampled_from(["auto", "fp8", "int8"]),
    tp_size=st.sampled_from([1, 2, 4]),
    pp_size=st.sampled_from([1, 2]),
    max_batch_size=st.integers(1, 256),
    max_seq_len=st.integers(1, 65536),
    max_beam_width=st.integers(1, 4),
    max_tokens_in_paged_kv_cache=st.sampled_from([0, 0, 2560, 100_000]),
)
gpus = st.builds(
    Gpus,
    count=st.integers(0, 8),
    memory_mib=st.sampled_from([0, 8192, 15360, 24564, 81559, 143771]),
    capability=st.sampled_from([0, 70, 75, 80, 86, 89, 90, 100]),
)


@given(st.sampled_from(MODELS), plans, gpus)
def test_every_proposal_is_computed_and_better(model, plan, there) -> None:
    shape = read(model.config)
    now = size(shape, plan, there)
    for advice in advise(shape, plan, there):
        enough = replace(there, count=max(there.count, advice.sizing.plan.gpus))
        again = size(shape, advice.sizing.plan, enough)
        assert again.verdict == advice.sizing.verdict
        assert VERDICTS.index(again.verdict) < VERDICTS.index(now.verdict)
        assert advice.changes
    assert reason(now) and all(proposals(advise(shape, plan, there)))


@given(st.sampled_from(MODELS), plans, gpus)
def test_more_of_anything_never_makes_it_fit_better(model, plan, there) -> None:
    shape = read(model.config)
    now = size(shape, plan, there)
    for more in (
        replace(plan, max_batch_size=plan.max_batch_size + 1),
        replace(plan, max_seq_len=plan.max_seq_len + 64),
        replace(plan, max_beam_width=plan.max_beam_width + 1),
    ):
        assert VERDICTS.index(size(shape, more, there).verdict) >= VERDICTS.index(now.verdict)
    roomier = replace(there, memory_mib=there.memory_mib + 1024 if there.memory_mib else 0)
    assert VERDICTS.index(size(shape, plan, roomier).verdict) <= VERDICTS.index(now.verdict)


def test_the_largest_that_fits_is_proposed() -> None:
    plan = Plan("llmapi", max_batch_size=64, max_seq_len=8192, split_embedding=True)
    shape = read(QWEN_3_8B)
    by_batch = next(a for a in advise(shape, plan, H100) if a.text.startswith("max_batch_size"))
    batch = by_batch.sizing.plan.max_batch_size
    assert size(shape, replace(plan, max_batch_size=batch + 1), H100).verdict == "tight"
