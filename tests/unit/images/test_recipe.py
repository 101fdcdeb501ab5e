"""From a group's settings to what its image is built from."""

from __future__ import annotations

from pathlib import Path

import pytest

import tasks
from rolecall.cli.flags import Flags
from rolecall.errors import ConfigError
from roles.images.image import Wanted, image_of
from roles.images.recipe import Recipe, read


def recipe(name: str, *sets: str, **given: str) -> Recipe:
    return read(tasks.project, name, Flags(set=sets), **given)


def test_every_recipe_has_one() -> None:
    assert recipe("cpu").environments == ("cpu", "front", "tools")
    assert recipe("gpu_vllm").environments == ("front", "tools", "triton", "vllm")
    assert recipe("gpu").base == "nvcr.io/nvidia/tritonserver:26.06-trtllm-python-py3"
    assert recipe("gpu_engine").folder == "gpu"
    assert recipe("gpu_engine").environments == ("front", "tools")
    published = recipe("t9k_published")
    assert published.base == "nvcr.io/nvidia/tritonserver:24.02-trtllm-python-py3"
    assert published.packages == "torch-2.1.2"


def test_a_mirror_can_be_said_in_each_way() -> None:
    mirror = recipe("gpu", "runtime.registry=mirror.example/nv")
    assert mirror.base == "mirror.example/nv/tritonserver:26.06-trtllm-python-py3"
    assert recipe("cpu", "runtime.base_image=mirror.example/python:3.12").base.startswith("mirror")
    assert recipe("cpu", "runtime.base_image=a:1", base="b:2").base == "b:2"
    with pytest.raises(ConfigError, match="no name of a container image"):
        recipe("cpu", base="--privileged")


def test_the_image_that_is_used_is_not_what_is_built_on() -> None:
    assert recipe("gpu", "runtime.image=mine:1").base.startswith("nvcr.io/")


def test_an_unknown_recipe_names_the_known() -> None:
    with pytest.raises(ConfigError, match="no recipe 'cqu'") as refused:
        recipe("cqu")
    assert "gpu_engine" in refused.value.hint
    with pytest.raises(ConfigError):
        recipe("../group_vars/cpu")


def test_an_engine_is_docker_or_podman() -> None:
    assert recipe("cpu", engine="docker").client == "docker"
    assert recipe("cpu", "runtime.client=/opt/podman", engine="podman").client == "/opt/podman"
    with pytest.raises(ConfigError, match="neither docker nor podman"):
        recipe("cpu", engine="nerdctl")


def test_a_push_needs_registry_and_name() -> None:
    assert Wanted(push="registry.example:5000/team/rolecall-cpu").push
    for wrong in ("name", "https://registry.example/x", "registry.example/name:tag", "-x/y"):
        with pytest.raises(ConfigError, match="REGISTRY/NAME"):
            Wanted(push=wrong)


def test_the_tag_is_the_digest_s_begin() -> None:
    image = image_of(tasks.project, Wanted("gpu"), Flags())
    assert image.reference == f"localhost/rolecall-gpu:{image.content[:16]}"


def test_a_group_s_variables_may_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "group_vars/mine").mkdir(parents=True)
    (tmp_path / "group_vars/mine/a.yaml").write_text("runtime: {base_image: 'x:1'}\n")
    flags = Flags(inventory=str(tmp_path))
    assert read(tasks.project, "mine", flags).base == "x:1"
    files = image_of(tasks.project, Wanted("mine"), flags).files
    assert "project/inventory/group_vars/mine/a.yaml" in files
