"""Model, checkpoint, engine, repository: once, again, and with something changed."""

from __future__ import annotations

import json
import os

import pytest

from tests.integration.engine.conftest import MakeChain
from tests.rig.hub import Repo as HubRepo
from tests.rig.hub import hub
from tests.rig.tiny_model import files

ARTIFACTS = ("artifact:model", "artifact:checkpoint", "artifact:engine", "artifact:repo")

LENGTHS = {
    "0.8.0": {"max_input_len": 48, "max_output_len": 16},
    "0.9.0.dev2024022700": {"max_input_len": 48, "max_output_len": 16},
    "1.2.1": {"max_input_len": 48, "max_seq_len": 64},
}


@pytest.mark.parametrize("version", LENGTHS)
def test_a_deployment_is_built_once_and_found_again(chain: MakeChain, version: str) -> None:
    made = chain(version, engine=LENGTHS[version])
    predicted = made.run(check=True)
    assert {predicted.outcomes[id_] for id_ in ARTIFACTS} == {"would change"}
    first = made.deploy()
    assert {first.outcomes[id_] for id_ in ARTIFACTS} == {"changed"}
    config = made.config()
    assert config["version"] == version
    assert config["pretrained_config"]["architecture"] == "LlamaForCausalLM"
    assert config["build_config"]["max_batch_size"] == 64
    assert (made.current("engine") / "rank0.engine").exists()
    assert "rank0.engine" in (made.current("engine") / "build.log").read_text()
    again = made.run()
    assert set(again.outcomes.values()) == {"ok"}
    assert again.exchanges == 1


def test_the_repository_is_filled_parsed_and_described(chain: MakeChain) -> None:
    made = chain(engine=LENGTHS["1.2.1"], repo={"kv_cache_free_gpu_mem_fraction": 0.8})
    made.deploy()
    repo = made.current("repo")
    assert sorted(path.name for path in (repo / "models").iterdir()) == [
        "ensemble",
        "postprocessing",
        "preprocessing",
        "tensorrt_llm",
        "tensorrt_llm_bls",
    ]
    for model in (repo / "models").iterdir():
        assert (model / "1").is_dir()
    text = (repo / "models/tensorrt_llm/config.pbtxt").read_text()
    assert f'string_value: "{made.current("engine")}"' in text
    assert 'backend: "tensorrtllm"' in text
    assert 'key: "kv_cache_free_gpu_mem_fraction"\n  value: { string_value: "0.8" }' in text
    said = json.loads((repo / "repository.json").read_text())
    # The tokenizer's own: </s> and <pad>.
    tokens = {
        token["content"]: token["id"]
        for token in json.loads(files()["tokenizer.json"])["added_tokens"]
    }
    assert (said["end_id"], said["pad_id"]) == (tokens["</s>"], tokens["<pad>"])
    assert said["decoupled"] is True
    assert "decoding_mode" in said["unfilled"]
    # The source is as pristine as before.
    source = next((made.home / "sources").glob("backend-*"))
    template = (source / "all_models/inflight_batcher_llm/tensorrt_llm/config.pbtxt").read_text()
    assert "${engine_dir}" in template


def test_a_changed_build_flag_makes_a_new_engine_and_keeps_the_old(chain: MakeChain) -> None:
    made = chain(engine=LENGTHS["1.2.1"])
    made.deploy()
    old = made.current("engine")
    made.engine = {**made.engine, "max_batch_size": 128}
    changed = made.deploy()
    assert changed.outcomes["artifact:checkpoint"] == "ok"
    assert changed.outcomes["artifact:engine"] == changed.outcomes["artifact:repo"] == "changed"
    new = made.current("engine")
    assert new != old and (old / "rank0.engine").exists()
    assert made.config()["build_config"]["max_batch_size"] == 128
    made.engine = {**made.engine, "max_batch_size": 64}
    back = made.deploy()
    assert made.current("engine") == old
    # Nothing is built: the link is switched back.
    assert not [line for line in back.output if line.startswith("running:")]


def test_another_kind_of_gpu_gets_an_engine_of_its_own(chain: MakeChain) -> None:
    made = chain(engine=LENGTHS["1.2.1"])
    made.deploy()
    old, made.capability = made.current("engine"), "8.9"
    changed = made.deploy()
    assert changed.outcomes["artifact:checkpoint"] == "ok"
    assert made.current("engine") != old


def test_every_rank_is_made_and_reported(chain: MakeChain) -> None:
    made = chain(engine={**LENGTHS["1.2.1"], "tp_size": 2, "pp_size": 2, "workers": 2})
    result = made.deploy()
    names = {path.name for path in made.current("engine").glob("rank*")}
    assert names == {f"rank{rank}.engine" for rank in range(4)}
    assert len(list(made.current("checkpoint").glob("rank*.safetensors"))) == 4
    seen = {(event.label, event.done, event.total) for event in result.progress}
    assert {("engine", 4, 4), ("checkpoint", 4, 4)} <= seen


@pytest.mark.parametrize("kind", ["fp8", "int4_awq"])
def test_a_calibrated_checkpoint_comes_from_quantize(chain: MakeChain, kind: str) -> None:
    made = chain(engine={**LENGTHS["1.2.1"], "quantization": kind})
    made.deploy()
    algorithm = made.config()["pretrained_config"]["quantization"]["quant_algo"]
    assert algorithm == {"fp8": "FP8", "int4_awq": "W4A16_AWQ"}[kind]


def test_the_published_wrong_steps_come_back_when_asked_for(chain: MakeChain) -> None:
    wrong = {
        "engine": {
            "plugins": {"gemm_plugin": "float16"},
            "as_published": {"examples": "0.9.0.dev2024022700", "max_batch_size": None},
        },
        "repo": {
            "max_tokens_in_paged_kv_cache": 2560,
            "as_published": {"upstream": {"parameters": {"engine_dir": "engines/1gpu"}}},
        },
    }
    made = chain("0.8.0", **wrong)
    made.deploy()
    right = made.current("repo")
    assert made.config()["build_config"]["max_batch_size"] == 64
    made.engine["published_exactly"] = made.repo["published_exactly"] = True
    changed = made.deploy()
    assert made.config()["build_config"]["max_batch_size"] == 1
    text = (made.current("repo") / "models/tensorrt_llm/config.pbtxt").read_text()
    assert 'string_value: "engines/1gpu"' in text
    assert any("not compared with the engine" in line for line in changed.output)
    # What the right thing says of it.
    made.repo["published_exactly"] = False
    assert "the engine was built for 1" in made.failed("artifact:repo")
    made.engine["published_exactly"] = False
    made.deploy()
    assert made.current("repo") == right


def test_the_tools_may_be_in_the_serving_environment(
    chain: MakeChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = os.environ["PATH"]
    made = chain(engine=LENGTHS["1.2.1"], roles=("runtime", "model", "engine"))
    monkeypatch.setenv("PATH", outside)
    made.runtime = {"kind": "environment"}
    (made.home / "python" / "none").symlink_to(made.prefix.path)
    made.deploy()
    assert made.config()["version"] == "1.2.1"


def test_another_family_has_its_own_converter(chain: MakeChain) -> None:
    made = chain(
        engine={**LENGTHS["1.2.1"], "family": "qwen"}, roles=("runtime", "model", "engine")
    )
    path = made.root / "model" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "architectures": ["Qwen3ForCausalLM"]}))
    made.deploy()
    assert made.config()["pretrained_config"]["architecture"] == "Qwen3ForCausalLM"
    said = (made.current("checkpoint") / ".rolecall/manifest.json").read_text()
    assert "models/core/qwen/convert_checkpoint.py" in said


def test_the_chain_begins_at_a_hub(chain: MakeChain) -> None:
    with hub() as made_hub:
        made_hub.repos["tiny/llama"] = HubRepo()
        commit = made_hub.repos["tiny/llama"].commit(files())
        source = {"source": f"hf://tiny/llama@{commit}", "endpoint": made_hub.url}
        made = chain(engine=LENGTHS["1.2.1"], model=source)
        made.deploy()
    # The hub is gone; what was fetched is still right.
    assert set(made.run().outcomes.values()) == {"ok"}


def test_the_llm_api_needs_no_engine(chain: MakeChain) -> None:
    made = chain(repo={"kind": "llmapi"}, engine_kind="none")
    sources = made.root / "sources"
    made.repo["llmapi"] = {
        "repository": f"file://{sources / 'TensorRT-LLM'}",
        "commit": (sources / "TensorRT-LLM.commit").read_text(),
        "folder": "triton_backend/all_models/llmapi",
        "tensor_parallel_size": 2,
    }
    made.deploy()
    repo = made.current("repo")
    text = (repo / "models/tensorrt_llm/config.pbtxt").read_text()
    assert text.endswith("model_transaction_policy { decoupled: True }\n")
    model_yaml = (repo / "models/tensorrt_llm/1/model.yaml").read_text()
    assert f"model: {made.current('model')}\n" in model_yaml
    assert "tensor_parallel_size: 2" in model_yaml
    assert "decoupled: true" in model_yaml
    assert json.loads((repo / "repository.json").read_text())["kind"] == "llmapi"
    assert set(made.run().outcomes.values()) == {"ok", "skipped"}
