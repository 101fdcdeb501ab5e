"""What the role declares, and the text that runs a build in it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

import pytest

from rolecall.errors import ConfigError
from rolecall.facts import Facts
from rolecall.resource import Observed
from rolecall.role import Host
from rolecall.settings import resolve
from roles.engine.settings import Engine
from roles.model.settings import Model
from roles.python.settings import Python
from roles.repo.settings import Repo
from roles.runtime import role as runtimes
from roles.runtime.containers import gpu_options, mount_options
from roles.runtime.settings import Runtime
from roles.server.settings import Server


def host(facts: Mapping[str, str] | None = None, **changes: object) -> Host:
    extra = Observed("", facts or {})
    known = Facts.parse(
        Observed.parse("home=/home/u\nstate_dir=/home/u/.rolecall\nuid=7\ninit=none"), extra
    )
    settings = {
        "runtime": Runtime(),
        "engine": Engine(),
        "model": Model(),
        "python": Python(),
        "repo": Repo(),
        "server": Server(),
    }
    return Host("h", known, {**settings, **changes})  # type: ignore[dict-item]


CONTAINER = Runtime(kind="container")


def ids(where: Host) -> list[str]:
    return [resource.id for resource in runtimes.runtime.resources(where)]


def test_an_environment_needs_nothing_of_it() -> None:
    assert ids(host()) == []


def test_a_container_needs_engine_gpus_and_image() -> None:
    where = host({"runtime.engine": "docker", "gpu.driver": "580.95.05"}, runtime=CONTAINER)
    assert ids(where) == [
        "requirement:container engine",
        "requirement:GPUs in containers",
        "tree:runtime",
        "directory:/home/u/.rolecall/cache",
        "directory:/home/u/.rolecall/cache/runtime",
        "image:nvcr.io/nvidia/tritonserver:26.02-trtllm-python-py3",
    ]
    without = host(runtime=Runtime(kind="container", gpus=""))
    assert "requirement:GPUs in containers" not in ids(without)


def test_the_row_follows_driver_kind_and_setting() -> None:
    driver = {"gpu.driver": "590.44.01"}
    assert runtimes.row(host(driver, runtime=CONTAINER)).triton == "26.07"
    llmapi = Repo(kind="llmapi")
    assert runtimes.row(host(driver, runtime=CONTAINER, repo=llmapi)).triton == "26.06"
    pinned = Runtime(kind="container", triton="25.12")
    assert runtimes.row(host(driver, runtime=pinned)).triton == "25.12"
    old = {"gpu.driver": "470.82.01"}
    assert runtimes.row(host(old, runtime=CONTAINER, repo=llmapi)).triton == "25.09"
    installed = host({"runtime.triton": "24.07"}, runtime=Runtime(kind="installed"))
    assert runtimes.row(installed).triton == "24.07"


def test_the_engine_is_the_one_that_is_there_or_set() -> None:
    assert runtimes.engine(host({"runtime.engine": "podman"})) == "podman"
    assert runtimes.engine(host()) == "docker"
    chosen = Runtime(kind="container", engine="podman", client="~/bin/podman")
    assert runtimes.engine(host({"runtime.engine": "docker"}, runtime=chosen)) == "podman"
    assert runtimes.client(host(runtime=chosen)) == "/home/u/bin/podman"


def test_its_version_is_an_input_of_what_is_built_in_it() -> None:
    image = Runtime(kind="container", image="mine@sha256:" + "a" * 64)
    assert runtimes.version(host(runtime=image)) == image.image
    installed = host({"runtime.tensorrt_llm": "1.2.1"}, runtime=Runtime(kind="installed"))
    assert "1.2.1" in runtimes.version(installed)
    assert runtimes.version(host()).startswith("cpu ")


def test_gpus_as_each_engine_wants_them() -> None:
    assert gpu_options("docker", "all") == ("--gpus", "all")
    assert gpu_options("docker", "0,1") == ("--gpus", '"device=0,1"')
    assert gpu_options("podman", "all") == ("--device=nvidia.com/gpu=all",)
    assert gpu_options("podman", "0,GPU-a") == (
        "--device=nvidia.com/gpu=0",
        "--device=nvidia.com/gpu=GPU-a",
    )
    assert gpu_options("docker", "") == ()


def test_mounts_are_read_only_unless_said() -> None:
    assert mount_options(["/a b"]) == ("--mount=type=bind,source=/a b,target=/a b,readonly",)
    assert mount_options(["/a"], writable=True) == ("--mount=type=bind,source=/a,target=/a",)


@pytest.mark.parametrize("kind", ["environment", "container", "installed"])
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_text_for_builds_is_valid_shell(kind: str, shell: str) -> None:
    where = host(runtime=Runtime(kind=kind, gpus="0,1"))  # type: ignore[arg-type]
    text = runtimes.in_runtime(where, ["/models/it's here"])
    subprocess.run([shell, "-n"], input=text, text=True, check=True)
    assert "in_runtime() {" in text


def test_a_build_in_the_environment_finds_its_programs_first() -> None:
    text = runtimes.in_runtime(host())
    done = subprocess.run(
        ["/bin/sh", "-c", f"{text}in_runtime sh -c 'echo $PATH; exit 5'; echo $?"],
        capture_output=True,
        text=True,
        check=True,
    )
    path, status = done.stdout.splitlines()
    assert path.startswith("/home/u/.rolecall/python/cpu/bin:") and status == "5"


def test_a_linked_models_directory_is_seen_by_builds() -> None:
    linked = Model(source="file:///models/llama", link=True, sha256="a" * 64)
    text = runtimes.in_runtime(host(runtime=CONTAINER, model=linked))
    assert "source=/models/llama,target=/models/llama,readonly" in text


def test_a_home_with_a_comma_is_refused_for_containers() -> None:
    facts = Facts.parse(Observed.parse("home=/h\nstate_dir=/h/a,b"))
    where = Host("h", facts, {**host().all_settings, "runtime": CONTAINER})
    with pytest.raises(ConfigError, match="comma"):
        runtimes.in_runtime(where)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"triton": "latest"}, "auto or a release"),
        ({"gpus": "0, 1"}, "separated by commas"),
        ({"shm_size": "1 GB"}, "such as 2g"),
        ({"client": "docker"}, "not an absolute path"),
        ({"mounts": ["/a,b"]}, "comma"),
    ],
)
def test_a_wrong_setting_is_told(value: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Runtime(**value)  # type: ignore[arg-type]


@pytest.mark.parametrize(("given", "read"), [(25.1, "25.10"), (26.06, "26.06"), ("25.01", "25.01")])
def test_a_release_without_quotes_is_meant_as_written(given: object, read: str) -> None:
    assert Runtime(triton=given).triton == read  # type: ignore[arg-type]


def test_the_chosen_row_is_told_with_what_it_needs() -> None:
    where = host({"gpu.driver": "580.95.05", "runtime.engine": "podman"}, runtime=CONTAINER)
    said = "\n".join(runtimes.chosen(where))
    assert "Triton 26.02: TensorRT-LLM 1.1.0" in said
    assert "needs NVIDIA driver 580.95.05 or later; this host's is 580.95.05" in said
    assert "tritonserver:26.02-trtllm-python-py3, run by podman" in said
    assert list(runtimes.chosen(host())) == []


def test_nothing_for_gpus_is_none() -> None:
    assert resolve({"runtime": Runtime}, [], [])["runtime"].settings == Runtime()
    assert Runtime(gpus=None).gpus == ""  # type: ignore[arg-type]
