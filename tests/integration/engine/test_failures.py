"""The real tools' failures, shown by the doubles: what is said of them, and what is left."""

from __future__ import annotations

import json

import pytest

from tests.doubles.tensorrt_llm.prefix import ENDS_BY_MEANING
from tests.integration.engine.conftest import MakeChain

LENGTHS = {"max_input_len": 48, "max_seq_len": 64}
ENGINE = ("runtime", "model", "engine")


def test_each_end_of_a_build_is_explained_and_leaves_nothing(chain: MakeChain) -> None:
    made = chain(engine=LENGTHS, roles=ENGINE)
    ends = {
        "engine_memory": ENDS_BY_MEANING["engine_memory"],
        "worker_killed": ENDS_BY_MEANING["worker_killed"],
        "old_gpu": ENDS_BY_MEANING["old_gpu"],
        "no_cuda": ENDS_BY_MEANING["no_cuda"],
        "killed": "the host ran out of memory",
        "one_rank": "rank1.engine is missing",
        "version": "the engine was built by TensorRT-LLM 0.7.1",
        "unknown": "ValueError: something that nobody has met before",
    }
    made.engine = {**LENGTHS, "tp_size": 2}
    for end, means in ends.items():
        made.prefix.fail(build=end)
        said = made.failed("artifact:engine")
        assert f"error: {means}" in said, (end, said)
        assert "next: " in said
        assert not (made.artifacts / "engine").exists(), end
    # The checkpoint was made once, and is still good.
    made.prefix.fail()
    result = made.deploy()
    assert result.outcomes["artifact:checkpoint"] == "ok"
    assert result.outcomes["artifact:engine"] == "changed"


def test_a_conversion_out_of_memory_says_what_to_set(chain: MakeChain) -> None:
    made = chain(engine=LENGTHS, roles=ENGINE)
    made.prefix.fail(convert="gpu_memory")
    said = made.failed("artifact:checkpoint")
    assert "error: the GPU's memory is too small" in said
    assert "load_model_on_cpu=true" in said and "#1221" in said
    made.prefix.fail(convert="killed")
    assert "the host ran out of memory" in made.failed("artifact:checkpoint")


def test_a_model_that_the_version_cannot_build_is_named(chain: MakeChain) -> None:
    made = chain(engine=LENGTHS, roles=ENGINE)
    path = made.root / "model" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "architectures": ["NewForCausalLM"]}))
    said = made.failed("artifact:engine")
    assert "Unsupported model architecture: NewForCausalLM" in said
    assert "kind llmapi" in said


def test_a_runtime_of_another_version_is_refused_before_anything_is_converted(
    chain: MakeChain,
) -> None:
    made = chain(engine={**LENGTHS, "version": "0.8.0", "max_seq_len": None}, roles=ENGINE)
    said = made.failed("artifact:checkpoint")
    assert "the runtime has TensorRT-LLM 1.2.1; the flags are those of 0.8.0" in said
    assert "running:" not in said


@pytest.mark.parametrize("kind", ["installed"])
def test_a_runtime_without_tensorrt_llm_is_refused(chain: MakeChain, kind: str) -> None:
    made = chain(engine=LENGTHS, roles=ENGINE)
    (metadata,) = (made.prefix.path / "site").glob("*.dist-info")
    metadata.rename(metadata.with_name("other.dist-info"))
    (metadata.with_name("other.dist-info") / "METADATA").write_text("Name: other\nVersion: 1\n")
    assert "the runtime has no TensorRT-LLM" in made.failed("artifact:checkpoint")
