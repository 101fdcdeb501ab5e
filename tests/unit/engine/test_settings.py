from __future__ import annotations

from typing import Any

import pytest

from rolecall.errors import ConfigError
from rolecall.inventory import Layer
from rolecall.settings import Override, resolve
from roles.engine.settings import Engine
from roles.engine.tensorrt_llm.tables import table


def engine(**given: Any) -> Engine:
    overrides = [Override(("engine", "tensorrt_llm", name), value) for name, value in given.items()]
    layers: list[Layer] = []
    found = resolve({"engine": Engine}, layers, overrides)["engine"].settings
    assert isinstance(found, Engine)
    return found


REFUSED = [
    ({"max_output_len": 9}, "max_output_len: trtllm-build of TensorRT-LLM 1.2.1 has no flag"),
    ({"use_embedding_sharing": True}, "use_embedding_sharing: convert_checkpoint.py of"),
    ({"plugins": {"gem_plugin": "float16"}}, "did you mean gemm_plugin"),
    ({"plugins": {"gemm_plugin": "float8"}}, "takes auto, float16"),
    ({"plugins": {"tokens_per_block": "many"}}, "takes a number, not 'many'"),
    ({"build_flags": {"strip_plan": 1}}, "is a switch: true or false"),
    ({"build_flags": {"max_seq_length": 3}}, "did you mean max_seq_len"),
    ({"quantization": "int4_gptq"}, "int4_gptq and quantized_checkpoint belong together"),
    ({"quantized_checkpoint": "/q"}, "int4_gptq and quantized_checkpoint belong together"),
    ({"quantization": "smoothquant", "load_by_shard": True}, "load_by_shard is impossible"),
    ({"kv_cache_dtype": "int8", "load_by_shard": True}, "load_by_shard is impossible"),
    ({"quantization": "fp8", "load_model_on_cpu": True}, "quantize.py of TensorRT-LLM 1.2.1"),
    ({"max_seq_len": 1000}, "leaves no room for an answer"),
    ({"max_num_tokens": 8}, "every sequence in flight needs one token"),
    ({"family": "lama"}, "did you mean llama"),
    ({"commit": "main"}, "40 hexadecimal digits"),
    ({"as_published": {"max_bach_size": 1}}, "there is no setting max_bach_size"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_what_the_version_cannot_do_is_refused_by_name(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        engine(version="1.2.1", **given)
    assert message in f"{caught.value}\n{caught.value.hint}"
    assert "--set" in str(caught.value)


def test_a_version_whose_flags_are_unknown_is_refused_with_the_known() -> None:
    with pytest.raises(ConfigError, match=r"'0\.7\.1' are not known; known are 0\.8\.0"):
        engine(version="0.7.1")
    with pytest.raises(ConfigError, match="of an unknown version"):
        table("")


def test_both_lengths_are_refused() -> None:
    with pytest.raises(ConfigError, match="set one of them"):
        engine(max_output_len=10, max_seq_len=2000)


def test_a_setting_of_another_kind_is_refused_rather_than_ignored() -> None:
    overrides = [
        Override(("engine", "kind"), "tensorrt_llm"),
        Override(("engine", "max_batch_size"), 8),
    ]
    with pytest.raises(ConfigError, match="max_batch_size means nothing to kind tensorrt_llm"):
        resolve({"engine": Engine}, [], overrides)


def test_published_exactly_takes_the_published_values() -> None:
    given = {"version": "0.8.0", "as_published": {"max_batch_size": None, "dtype": "bfloat16"}}
    assert engine(**given).tensorrt_llm.max_batch_size == 64
    exact = engine(**given, published_exactly=True).tensorrt_llm
    assert (exact.max_batch_size, exact.dtype) == (None, "bfloat16")


def test_a_machine_without_a_gpu_reads_no_table() -> None:
    before = table.cache_info().misses
    assert engine().kind == "openvino"
    assert table.cache_info().misses == before
