from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from tests.doubles.tensorrt_llm.repositories import KEYS, llmapi
from tests.integration.repo.conftest import FILL, Fill
from tests.unit.engine.test_recipes import PUBLISHED_PARAMETERS


@pytest.mark.parametrize("version", KEYS)
def test_every_versions_templates_are_filled(fill: Fill, version: str) -> None:
    done = fill(version)
    assert done.status == 0, done.output
    for model in KEYS[version]:
        bare, _ = KEYS[version][model]
        for name in bare.split():
            assert f"${{{name}}}" not in done.config(model).replace("${this_is_a_comment}", "")
    assert done.description["models"] == sorted(KEYS[version])


def test_values_with_colons_and_commas_arrive(fill: Fill) -> None:
    given = {"gpu_device_ids": "0,1:2", "decoding_mode": 'a "quoted" \\ word'}
    done = fill("da59830", given)
    assert done.status == 0, done.output
    text = done.config("tensorrt_llm")
    assert 'string_value: "0,1:2"' in text
    assert r"a \"quoted\" \\ word" in text


def test_the_published_values_rendered_to_the_letter(fill: Fill) -> None:
    done = fill("da59830", PUBLISHED_PARAMETERS, build={"max_batch_size": 1}, exactly=True)
    assert done.status == 0, done.output
    assert 'string_value: "engines/1gpu"' in done.config("tensorrt_llm")
    assert 'string_value: "Llama-2-7b-chat-hf/"' in done.config("preprocessing")
    # The eleven that the published recipe leaves unfilled (reference: da59830's templates).
    assert done.description["unfilled"] == sorted(
        [
            "add_special_tokens",
            "batch_scheduler_policy",
            "decoding_mode",
            "enable_chunked_context",
            "enable_trt_overlap",
            "gpu_device_ids",
            "lora_cache_gpu_memory_fraction",
            "lora_cache_host_memory_bytes",
            "lora_cache_max_adapter_size",
            "lora_cache_optimal_adapter_size",
            "normalize_log_probs",
        ]
    )


def unfinished(source: Path) -> None:
    path = source / "ensemble" / "config.pbtxt"
    path.write_text(path.read_text() + "ensemble_scheduling { step [ {")


def other_decoupled(source: Path) -> None:
    path = source / "tensorrt_llm_bls" / "config.pbtxt"
    path.write_text(path.read_text().replace("decoupled: ${decoupled_mode}", "decoupled: False"))


REFUSED: list[tuple[dict[str, Any], dict[str, Any], Any, str]] = [
    ({"kv_cache_free_gpu_memory_fraction": 0.5}, {}, None, "did you mean kv_cache_free_gpu_mem_fr"),
    ({"this_is_a_comment": 1}, {}, None, "no parameter this_is_a_comment"),
    ({"engine_dir": "engines/1gpu"}, {}, None, "engine_dir 'engines/1gpu' is relative"),
    ({"triton_max_batch_size": "64 }"}, {}, None, "stands without quotes"),
    ({}, {"max_batch_size": 1}, None, "the engine was built for 1"),
    ({"max_beam_width": 4}, {}, None, "max_beam_width 4"),
    ({"max_tokens_in_paged_kv_cache": 64}, {}, None, "does not hold one sequence"),
    ({}, {}, unfinished, "ensemble/config.pbtxt is no ModelConfig"),
    ({}, {}, other_decoupled, "must both be decoupled or neither"),
]


@pytest.mark.parametrize(("given", "build", "change", "message"), REFUSED)
def test_what_would_not_be_served_is_refused(
    fill: Fill, given: dict[str, Any], build: dict[str, Any], change: Any, message: str
) -> None:
    done = fill("da59830", given, build=build, change=change)
    assert done.status == 1
    assert "error: " in done.output and message in done.output
    assert not (done.out / "repository.json").exists()


def fill_llmapi(
    python: Path, folder: Path, decoupled: str, policy: str = ""
) -> subprocess.CompletedProcess[str]:
    for name, text in llmapi("source").items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + policy if name.endswith(".pbtxt") else text)
    (folder / "out").mkdir()
    return subprocess.run(
        [
            *(str(python), "-B", str(FILL), "llmapi", "--source", str(folder / "source")),
            *("--output", str(folder / "out"), "--tokenizer", str(folder)),
            *("--model-yaml", "model: /m\n", "--decoupled", decoupled),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("decoupled", ["true", "false"])
@pytest.mark.parametrize("policy", ["", "model_transaction_policy { decoupled: true }\n"])
def test_the_llm_api_is_decoupled_as_model_yaml_says(
    tools_python: Path, tmp_path: Path, policy: str, decoupled: str
) -> None:
    done = fill_llmapi(tools_python, tmp_path, decoupled, policy)
    if policy and decoupled == "false":
        assert done.returncode == 1
        assert "sets its own model_transaction_policy" in done.stdout
        return
    assert done.returncode == 0, done.stdout + done.stderr
    model = tmp_path / "out/models/tensorrt_llm"
    config = text_format.Parse((model / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
    assert config.HasField("model_transaction_policy")
    assert config.model_transaction_policy.decoupled is (decoupled == "true")
    assert (model / "1/model.yaml").read_text() == "model: /m\n"
    assert "does not say which token ends a sequence" in done.stdout


def test_a_folder_without_models_is_told(tools_python: Path, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    done = subprocess.run(
        [
            *(str(tools_python), "-B", str(FILL), "llmapi", "--source", str(tmp_path / "source")),
            *("--output", str(tmp_path), "--tokenizer", str(tmp_path)),
            *("--model-yaml", "", "--decoupled", "true"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "has no model: no folder in it has a config.pbtxt" in done.stdout
