"""The GPU image as the Job that prepares a volume, and as a pod that serves from it.

TensorRT-LLM, tritonserver and the GPU are doubles; Rolecall in the image is the real one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from rolecall.inventory.variables import read_data
from roles.published import merged
from tests.doubles.tensorrt_llm import repositories
from tests.doubles.tensorrt_llm.prefix import examples, git_repository
from tests.integration.deployed import ROOT
from tests.integration.images.gpu_base import VERSION
from tests.integration.images.pods import INVENTORY, Pods, config_map, contents, volume
from tests.rig import tiny_model
from tests.rig.containers import Engine

USER = 4321
INVENTORY_OPTION = ("--inventory", INVENTORY)


def settings(sources: Path) -> dict[str, object]:
    """The recipe in a pod, with sources of the test's own."""
    recipe = dict(read_data(ROOT / "inventory/group_vars/gpu_engine.yaml").data)
    engine = recipe["engine"]["tensorrt_llm"]
    files = {**examples(VERSION), **repositories.llmapi()}
    engine["commit"] = git_repository(sources / "TensorRT-LLM", files)
    engine["repository"] = "file:///sources/TensorRT-LLM"
    engine |= {"max_input_len": 32, "max_seq_len": 64, "max_num_tokens": 64}
    templates = repositories.templates("1.2")
    recipe["repo"]["upstream"] = {
        "commit": git_repository(sources / "backend", templates),
        "repository": "file:///sources/backend",
        "folder": "all_models/inflight_batcher_llm",
    }
    recipe["repo"]["link"] = "/data/inflight_batcher_llm"
    recipe["model"] = {"source": "file:///sources/model"}
    inside = read_data(ROOT / "docker/gpu/host.yaml").data
    return merged(recipe, inside)


@pytest.fixture(scope="module")
def prepared(
    podman: Engine, gpu_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pods]:
    """A volume that a Job of the roles themselves has filled."""
    folder: Path = tmp_path_factory.mktemp("gpu-pods")
    sources = folder / "sources"
    (folder / "inventory").mkdir()
    files = {
        "hosts.yaml": "all: {hosts: {localhost: {ansible_connection: local}}}\n",
        "group_vars/all.yaml": yaml.safe_dump(settings(sources)),
    }
    (sources / "model").mkdir()
    for name, data in tiny_model.files().items():
        (sources / "model" / name).write_bytes(data)
    for path in (sources, *sources.rglob("*")):  # git reads no repository of another user
        os.chown(path, USER, USER)
    pods = Pods(
        podman,
        gpu_image,
        volume(folder / "volume"),
        config_map(folder / "inventory", files),
        ("--volume", f"{sources}:/sources:ro"),
        USER,
    )
    roles = ("runtime", "model", "engine", "repo")
    pods.start("job", "./inv", *(word for role in roles for word in (role, *INVENTORY_OPTION)))
    assert pods.ended("job") == 0, pods.log("job")
    yield pods
    pods.remove()


def test_the_roles_fill_a_volume_with_the_image_s_own_tensorrt_llm(prepared: Pods) -> None:
    said = prepared.log("job")
    assert "the base greets" in said, "its entrypoint stays"
    assert "changed   artifact:engine" in said
    assert (prepared.volume / "rolecall/artifacts/engine/current/rank0.engine").is_file()


def test_a_pod_serves_it_as_the_image_s_own_triton(prepared: Pods) -> None:
    prepared.start("serving", "./inv", "serve", *INVENTORY_OPTION)
    assert prepared.ended("serving") == 7, prepared.log("serving")  # tritonserver's
    words = prepared.log("serving").split()
    assert "--http-address=0.0.0.0" in words and "--metrics-address=0.0.0.0" in words
    (repository,) = [word for word in words if word.startswith("--model-repository=")]
    assert repository.startswith("--model-repository=/data/rolecall/artifacts/repo/")
    before = contents(prepared.volume)
    prepared.start("again", "./inv", "serve", *INVENTORY_OPTION)
    assert prepared.ended("again") == 7
    assert "changed=0" in prepared.log("again")
    assert contents(prepared.volume) == before


def test_upstream_s_command_serves_what_the_link_leads_to(prepared: Pods) -> None:
    launch = ("python3", "launch_triton_server.py", "--model_repo=/data/inflight_batcher_llm")
    prepared.start("launched", *launch)
    assert prepared.ended("launched") == 7, prepared.log("launched")
    assert "--model-repository=/data/inflight_batcher_llm" in prepared.log("launched")


def test_a_volume_that_is_mounted_elsewhere_is_not_served(prepared: Pods, podman: Engine) -> None:
    elsewhere = ("--volume", f"{prepared.volume}:/elsewhere:ro", prepared.image)
    launch = ("python3", "launch_triton_server.py", "--model_repo=/elsewhere/inflight_batcher_llm")
    done = podman("run", "--rm", "--network=none", *elsewhere, *launch, check=False)
    assert done.returncode == 1
    assert "names what is not here: /data/rolecall/artifacts/" in done.stderr
    assert "mount the volume at the path that it had" in done.stderr


def test_the_project_in_it_has_its_settings_from_the_recipe(podman: Engine, gpu_image: str) -> None:
    asked = ("./inv", "settings", "--hosts", "localhost")
    done = podman("run", "--rm", "--network=none", "--user", "77", gpu_image, *asked)
    assert "installed" in done.stdout and "/data/rolecall" in done.stdout
