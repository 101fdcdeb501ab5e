"""The recipes of the inventory: what they make of a host, against the published steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rolecall.errors import ConfigError
from rolecall.facts import Facts
from rolecall.inventory import load_inventory
from rolecall.resource import Observed, Resource, Skip
from rolecall.resources.git import GitCheckout
from rolecall.role import Host, Roles
from rolecall.settings import Override, RunnerSettings, resolve
from roles.engine.settings import Engine
from roles.engine.tensorrt_llm import build as tensorrt_llm
from roles.repo import llmapi, upstream
from roles.repo.settings import Repo

ROOT = Path(__file__).parents[3]

#: A machine with two H100s and a driver of each matrix row's age.
GPU = "gpu.count=2\ngpu.compute_capability=9.0\ngpu.driver=590.44.01\nruntime.engine=docker"

ROLES = Roles(ROOT / "roles", ("system", "python", "runtime", "model", "engine", "repo"))


def host(tmp_path: Path, group: str, *overrides: str, gpu: str = GPU) -> Host:
    """A host of ``group``, with the settings that the project's own inventory gives it."""
    (tmp_path / "group_vars").symlink_to(ROOT / "inventory" / "group_vars")
    (tmp_path / "hosts.yaml").write_text(f"all: {{children: {{{group}: {{hosts: {{h: }}}}}}}}\n")
    types: dict[str, Any] = {"rolecall": RunnerSettings}
    for path in sorted((ROOT / "roles").glob("*/role.py")):
        found = Roles(ROOT / "roles", (path.parent.name,)).load()[0]
        types[found.name] = found.settings
    layers = load_inventory(tmp_path).layers("h")
    given = [Override.parse(text) for text in overrides]
    settings = {name: value.settings for name, value in resolve(types, layers, given).items()}
    facts = Facts.parse(
        Observed.parse("arch=x86_64\nhome=/home/u\nstate_dir=/home/u/.rolecall"),
        Observed.parse(gpu),
    )
    return Host("h", facts, settings)


def declared(made: Host, *roles: str) -> dict[str, Resource | Skip]:
    items: Sequence[Resource | Skip] = [
        item for role in ROLES.load(roles) for item in role.resources(made)
    ]
    return {item.id: item for item in items}


def test_gpu_serves_the_llm_api_of_the_newest_release_that_the_driver_runs(tmp_path: Path) -> None:
    made = host(tmp_path, "gpu")
    assert isinstance(declared(made, "engine")["artifact:engine"], Skip)
    source = llmapi.files(made)
    # 26.07 has a known defect for this kind.
    assert source.checkout.commit == "ca88df0a400515b8206a19eb30cd047eb7661035"
    assert source.folder == "triton_backend/all_models/llmapi"
    repository = llmapi.repository(made)
    assert repository.path == f"{repository.made_by.path}/models"


def test_a_release_with_a_defect_is_refused_unless_the_image_is_ones_own(tmp_path: Path) -> None:
    made = host(tmp_path, "gpu", "runtime.triton='26.07'")
    with pytest.raises(ConfigError, match="PartReasoningText"):
        llmapi.repository(made)


def test_an_image_of_ones_own_is_taken_at_its_word(tmp_path: Path) -> None:
    made = host(tmp_path, "gpu", "runtime.triton='26.07'", "runtime.image=mine:1")
    assert llmapi.repository(made).path.endswith("/models")


def test_files_of_another_version_than_what_is_installed_are_refused(tmp_path: Path) -> None:
    gpu = f"{GPU}\nruntime.triton=26.06\nruntime.tensorrt_llm=1.2.0"
    made = host(tmp_path, "gpu", "runtime.kind=installed", gpu=gpu)
    with pytest.raises(ConfigError, match=r"TensorRT-LLM 1\.2\.0 is installed on h"):
        llmapi.repository(made)


def test_model_yaml_says_what_is_set_and_triton_what_model_yaml_says(tmp_path: Path) -> None:
    made = host(
        tmp_path,
        "gpu",
        "repo.llmapi.tensor_parallel_size=2",
        "repo.llmapi.max_seq_len=4096",
        "repo.llmapi.options={enable_chunked_prefill: true}",
    )
    said = llmapi.model_yaml(made.settings(Repo).llmapi, "/m", decoupled=True)
    assert said == {
        "model": "/m",
        "backend": "pytorch",
        "tensor_parallel_size": 2,
        "pipeline_parallel_size": 1,
        "max_seq_len": 4096,
        "kv_cache_config": {"free_gpu_memory_fraction": 0.9, "enable_block_reuse": True},
        "enable_chunked_prefill": True,
        "triton_config": {
            "max_batch_size": 0,
            "decoupled": True,
            "cancellation_check_period_ms": 100,
        },
    }


def test_an_option_that_has_a_setting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="max_seq_len has a setting of its own"):
        host(tmp_path, "gpu", "repo.llmapi.options={max_seq_len: 1}")


def test_gpu_engine_builds_for_this_gpu_with_the_images_own_version(tmp_path: Path) -> None:
    made = host(tmp_path, "gpu_engine")
    built = tensorrt_llm.artifact(made)
    assert dict(built.inputs) == {
        "command": "trtllm-build --max_batch_size 64 --max_input_len 1536 --max_seq_len 2048 "
        "--gemm_plugin auto",
        "runtime": "nvcr.io/nvidia/tritonserver:26.06-trtllm-python-py3",
        "tensorrt_llm": "1.2.1",
        "compute_capability": "9.0",
    }
    checkpoint = tensorrt_llm.checkpoint(made)
    assert dict(checkpoint.inputs)["command"] == (
        "models/core/llama/convert_checkpoint.py --dtype bfloat16"
    )
    # Of a repository of gigabytes, what is needed and no more.
    checkouts = {
        item.path: item.folders
        for item in declared(made, "engine", "repo").values()
        if isinstance(item, GitCheckout)
    }
    sources = "/home/u/.rolecall/sources/TensorRT-LLM-ca88df0a4005"
    templates = "triton_backend/all_models/inflight_batcher_llm"
    assert checkouts == {
        f"{sources}-examples": ("examples",),
        f"{sources}-inflight_batcher_llm": (templates,),
    }


def test_the_digest_covers_the_gpu_the_image_the_flags_and_the_model(tmp_path: Path) -> None:
    def digest(number: int, *overrides: str, gpu: str = GPU) -> str:
        place = tmp_path / str(number)
        place.mkdir()
        return tensorrt_llm.artifact(host(place, "gpu_engine", *overrides, gpu=gpu)).digest

    digests = [
        digest(0),
        digest(1, gpu=GPU.replace("9.0", "8.0")),
        digest(2, "runtime.image=other:1"),
        digest(3, "engine.tensorrt_llm.max_batch_size=32"),
        digest(4, "engine.tensorrt_llm.tp_size=2"),
        digest(5, f"model.source=hf://a/b@{'0' * 40}"),
    ]
    assert len(set(digests)) == len(digests)
    assert digest(6) == digests[0]


def test_a_build_flag_keeps_the_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = host(tmp_path / "a", "gpu_engine")
    other = host(tmp_path / "b", "gpu_engine", "engine.tensorrt_llm.max_batch_size=8")
    assert tensorrt_llm.checkpoint(one).digest == tensorrt_llm.checkpoint(other).digest


def test_fp8_is_refused_on_a_gpu_that_has_none(tmp_path: Path) -> None:
    made = host(
        tmp_path,
        "gpu_engine",
        "engine.tensorrt_llm.kv_cache_dtype=fp8",
        gpu=GPU.replace("9.0", "8.6"),
    )
    with pytest.raises(
        ConfigError, match=r"compute capability 8\.9 or newer; those of h have 8\.6"
    ):
        declared(made, "engine")


def test_without_a_version_it_is_that_of_the_image(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    made = host(tmp_path / "a", "gpu_engine", "engine.tensorrt_llm.version=''")
    assert tensorrt_llm.release(made) == "1.2.1"
    older = ("engine.tensorrt_llm.version=''", "runtime.triton='25.12'")
    with pytest.raises(ConfigError, match=r"flags of TensorRT-LLM 1\.1\.0 are not known"):
        declared(host(tmp_path / "b", "gpu_engine", *older), "engine")


EXACTLY = tuple(
    f"{name}.published_exactly=true" for name in ("system", "engine.tensorrt_llm", "repo")
)

#: published recipe, step 5: the parameters that fill_template.py is given for the five models.
PUBLISHED_PARAMETERS = {
    "tokenizer_dir": "Llama-2-7b-chat-hf/",
    "triton_max_batch_size": 64,
    "preprocessing_instance_count": 1,
    "postprocessing_instance_count": 1,
    "decoupled_mode": False,
    "bls_instance_count": 1,
    "accumulate_tokens": False,
    "max_beam_width": 1,
    "engine_dir": "engines/1gpu",
    "max_tokens_in_paged_kv_cache": 2560,
    "max_attention_window_size": 2560,
    "kv_cache_free_gpu_mem_fraction": 0.5,
    "exclude_input_in_output": True,
    "enable_kv_cache_reuse": False,
    "batching_strategy": "inflight_batching",
    "max_queue_delay_microseconds": 600,
}


def test_t9k_published_exactly_is_the_published_recipe(tmp_path: Path) -> None:
    made = host(tmp_path, "t9k_published", *EXACTLY)
    system = declared(made, "system")
    assert {"package:openmpi-bin", "package:libopenmpi-dev"} <= set(system)
    assert "absent:/opt/conda/compiler_compat/ld" in system
    convert, build = tensorrt_llm.commands(made)
    assert (convert.program, convert.words) == (
        "llama/convert_checkpoint.py",
        ["--dtype", "float16"],
    )
    assert build.words == ["--gemm_plugin", "float16"]
    checkout = tensorrt_llm.sources(made)
    assert checkout is not None
    assert checkout.commit.startswith("655524d")
    templates = upstream.templates(made)
    assert templates.checkout.commit.startswith("da59830")
    assert templates.folder == "all_models/inflight_batcher_llm"
    said = upstream.parameters(made)
    assert said["given"] == PUBLISHED_PARAMETERS
    assert said["exactly"] is True


def test_t9k_published_does_the_right_thing_by_default(tmp_path: Path) -> None:
    made = host(tmp_path, "t9k_published")
    assert not [name for name in declared(made, "system") if name.startswith("absent:")]
    _, build = tensorrt_llm.commands(made)
    assert build.words == ["--max_batch_size", "64", "--gemm_plugin", "float16"]
    checkout = tensorrt_llm.sources(made)
    assert checkout is not None
    # v0.8.0 of all three: the image, the examples and the templates.
    assert checkout.commit.startswith("5955b8a")
    assert upstream.templates(made).checkout.commit.startswith("41fe3a6")
    assert tensorrt_llm.release(made) == "0.8.0"
    said = upstream.parameters(made)
    differs = {"engine_dir", "tokenizer_dir"}
    assert said["given"] == {
        name: value for name, value in PUBLISHED_PARAMETERS.items() if name not in differs
    }
    assert said["derived"]["engine_dir"] == tensorrt_llm.artifact(made).path
    assert said["derived"]["tokenizer_dir"].startswith("/home/u/.rolecall/artifacts/model/")


def test_each_wrong_step_comes_back_by_itself(tmp_path: Path) -> None:
    made = host(tmp_path, "t9k_published", "engine.tensorrt_llm.published_exactly=true")
    assert made.settings(Engine).tensorrt_llm.max_batch_size is None
    assert not made.settings(Repo).published_exactly
    assert made.settings(Repo).upstream.commit.startswith("41fe3a6")


def test_a_repository_of_upstreams_templates_needs_their_engine(tmp_path: Path) -> None:
    made = host(tmp_path, "gpu_engine", "engine.kind=none")
    with pytest.raises(ConfigError, match=r"engine\.kind is none"):
        declared(made, "repo")
