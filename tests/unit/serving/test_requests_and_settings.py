"""What a request and a model configuration may ask for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inflight.errors import RequestError, SettingsError
from inflight.requests import Sampling, read_request, wants_stop
from inflight.settings import Settings, read_settings
from inflight.word_lists import unpack

GIB = 2**30
PARAMETERS = {
    "gpt_model_type": "inflight_batching",
    "max_tokens_in_paged_kv_cache": "2560",
    "max_beam_width": "2",
    "exclude_input_in_output": "True",
}


@pytest.fixture
def engine_dir(tmp_path: Path) -> Path:
    config = {
        "version": "1",
        "builder": "openvino-genai",
        "pretrained_config": {
            "vocab_size": 1000,
            "num_hidden_layers": 2,
            "num_key_value_heads": 2,
            "head_size": 16,
            "eos_token_id": 2,
        },
        "build_config": {
            "max_batch_size": 8,
            "max_input_len": 200,
            "max_seq_len": 256,
            "max_num_tokens": 512,
            "max_beam_width": 4,
            "plugin_config": {"tokens_per_block": 32, "arithmetic": "exact"},
        },
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def settings(engine_dir: Path, decoupled: bool = True, **parameters: str) -> Settings:
    values = {"gpt_model_path": str(engine_dir), **PARAMETERS, **parameters}
    config = {
        "model_transaction_policy": {"decoupled": decoupled},
        "parameters": {name: {"string_value": value} for name, value in values.items()},
    }
    return read_settings(config, free_memory=lambda *_: 8 * GIB)


def tensors(**fields: Any) -> dict[str, Any]:
    values = {"input_ids": [5, 6, 7], "input_lengths": 3, "request_output_len": 10, **fields}
    return {
        name: np.array([value] if np.ndim(value) else [[value]]) for name, value in values.items()
    }


def test_the_cache_is_as_large_as_the_smallest_bound(engine_dir: Path) -> None:
    per_token = 2 * 2 * 2 * 16 * 4
    assert settings(engine_dir).kv_blocks == 8 * 256 // 32
    assert settings(engine_dir, max_tokens_in_paged_kv_cache="320").kv_blocks == 10
    small = str(512 * per_token / (8 * GIB))
    bounded = settings(
        engine_dir, max_tokens_in_paged_kv_cache="", kv_cache_free_gpu_mem_fraction=small
    )
    assert bounded.kv_blocks == 16


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"gpt_model_type": "v1"}, "batching_strategy"),
        ({"max_beam_width": "5"}, "max_beam_width 5"),
        ({"max_tokens_in_paged_kv_cache": "128"}, "cannot hold one sequence"),
        ({"max_tokens_in_paged_kv_cache": "many"}, "not a whole number"),
        ({"kv_cache_free_gpu_mem_fraction": "1.5"}, "at most 1"),
        ({"enable_kv_cache_reuse": "maybe"}, "neither True nor False"),
        ({"lora_cache_host_memory_bytes": "1"}, "not available with this engine"),
        ({"gpt_model_path": "engines/1gpu"}, "must be absolute"),
        ({"batch_scheduler_policy": "fair"}, "batch_scheduler_policy"),
    ],
)
def test_what_cannot_be_honoured_is_refused_at_load(
    engine_dir: Path, parameters: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        settings(engine_dir, **parameters)


def test_an_engine_for_a_gpu_is_refused(engine_dir: Path) -> None:
    (engine_dir / "config.json").write_text('{"version": "0.8.0", "build_config": {}}')
    with pytest.raises(SettingsError, match=r"is for another backend.*0\.8\.0"):
        settings(engine_dir)


@pytest.mark.parametrize(
    ("fields", "sampling"),
    [
        ({}, Sampling()),
        ({"temperature": 0.7}, Sampling()),
        ({"runtime_top_k": 1}, Sampling()),
        ({"runtime_top_k": 5, "temperature": 0.0}, Sampling()),
        ({"runtime_top_k": 5}, Sampling(sample=True, top_k=5)),
        ({"runtime_top_p": 0.5}, Sampling(sample=True, top_p=0.5)),
        (
            {"runtime_top_k": 5, "runtime_top_p": 0.5, "temperature": 2.0, "random_seed": 3},
            Sampling(sample=True, top_k=5, top_p=0.5, temperature=2.0, seed=3),
        ),
    ],
)
def test_how_tokens_are_chosen(
    engine_dir: Path, fields: dict[str, Any], sampling: Sampling
) -> None:
    assert read_request(tensors(**fields), settings(engine_dir)).sampling == sampling


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"input_ids": [5, 1000, 7]}, "1000 is not a token id"),
        ({"input_lengths": 9}, "input_lengths"),
        ({"input_lengths": 0}, "prompt is empty"),
        ({"request_output_len": 300}, "max_seq_len 256"),
        ({"request_output_len": -1}, "at least 1"),
        ({"beam_width": 3}, "max_beam_width"),
        ({"temperature": float("nan")}, "temperature"),
        ({"beam_width": 2, "streaming": True}, "streaming"),
        ({"prompt_embedding_table": [[1.0]]}, "prompt_embedding_table"),
        ({"stop_words_list": [[1, 2], [5, -1]]}, "offset"),
        ({"bad_words_list": [[1, 2, 3]]}, "shape"),
        ({"random_seed": [1, 2]}, "single value"),
    ],
)
def test_a_bad_request_is_refused(engine_dir: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        read_request(tensors(**fields), settings(engine_dir))


def test_streaming_needs_decoupled_mode(engine_dir: Path) -> None:
    with pytest.raises(RequestError, match="decoupled"):
        read_request(tensors(streaming=True), settings(engine_dir, decoupled=False))


def test_an_end_id_outside_of_the_vocabulary_is_none(engine_dir: Path) -> None:
    assert read_request(tensors(end_id=-1), settings(engine_dir)).end_id is None
    assert read_request(tensors(end_id=2), settings(engine_dir)).end_id == 2


def test_stop_is_recognised() -> None:
    assert wants_stop(tensors(stop=True))
    assert not wants_stop(tensors())


def test_words_are_unpacked() -> None:
    packed = np.array([[[7, 8, 9], [2, 3, -1]]], dtype=np.int32)
    assert unpack("words", packed) == [(7, 8), (9,)]
    assert unpack("words", np.zeros((1, 2, 0), dtype=np.int32)) == []
