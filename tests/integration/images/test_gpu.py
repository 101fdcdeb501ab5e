"""The GPU image, really built, on a base that stands in for NVIDIA's, and its launcher in it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from roles.server import command
from roles.server.settings import Server
from tests.integration.images.gpu_base import PROGRAM
from tests.integration.images.project import Project
from tests.rig.containers import Engine
from tests.rig.registry import registry

Launch = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def launch(podman: Engine, gpu_image: str, tmp_path_factory: pytest.TempPathFactory) -> Launch:
    folder: Path = tmp_path_factory.mktemp("bin")
    for name in ("tritonserver", "mpirun"):
        (folder / name).write_text(PROGRAM)
        (folder / name).chmod(0o755)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        started = ("python3", "launch_triton_server.py", *arguments)
        mount = f"{folder}:/opt/tritonserver/bin:ro"
        return podman(
            "run", "--rm", "--network=none", "-v", mount, gpu_image, *started, check=False
        )

    return run


def test_the_launcher_starts_what_role_server_starts(launch: Launch) -> None:
    settings = Server(address="0.0.0.0", http_port=9000)
    options = command.tritonserver(settings, "/repo", "")
    done = launch("--model_repo=/repo", "--http_port", "9000")
    assert done.stdout.split() == [*command.command(settings, command.Ranks("plain"), options)]
    ranks = command.Ranks.of("auto", 2, spawns=False)
    done = launch("--model_repo=/repo", "--http_port", "9000", "--world_size=2")
    assert done.stdout.split() == [*command.command(settings, ranks, options)]


def test_the_exit_status_is_tritons(launch: Launch) -> None:
    assert launch("--model_repo=/repo").returncode == 7
    assert launch("--model_repo=/repo", "--world_size=2").returncode == 7


def test_an_option_of_upstream_that_is_not_honoured_is_refused(launch: Launch) -> None:
    done = launch("--model_repo=/repo", "--multi-model")
    assert done.returncode == 2 and "--multi-model" in done.stderr
    assert launch("--world_size=2").returncode == 2


def test_the_name_of_a_rank_model_and_further_options_are_passed_on(launch: Launch) -> None:
    done = launch(
        *("--model_repo=/repo", "--world_size=2", "--tensorrt_llm_model_name=other"),
        *("--exit_timeout=3", "--log", "--", "--strict-readiness=true"),
    )
    words = done.stdout.split()
    assert "--load-model=other" in words and words.count("--strict-readiness=true") == 2
    assert "--exit-timeout-secs=3" in words and "--log-verbose=3" in words


def test_it_is_probed_by_triton_s_own_readiness(podman: Engine, gpu_image: str) -> None:
    check = podman("inspect", "--format", "{{.HealthCheck}}", gpu_image).stdout
    assert "/v2/health/ready" in check


def test_another_base_is_another_image(project: Project, gpu_image: str) -> None:
    done = project.image("--recipe", "gpu_engine", "--base", "mirror.example/triton:26.06")
    assert "not built" in done.stdout and gpu_image not in done.stdout
    done = project.image("--recipe", "gpu_engine", "--set", "runtime.registry=mirror.example/nv")
    assert "on mirror.example/nv/tritonserver:26.06-trtllm-python-py3" in done.stdout


def test_a_push_names_it_by_its_content_and_sends_nothing_twice(
    project: Project, gpu_base: str, gpu_image: str, tmp_path: Path
) -> None:
    tag = gpu_image.rpartition(":")[2]
    with registry() as made:
        target = f"{made.address}/team/triton"
        options = ("--recipe", "gpu_engine", "--base", gpu_base, "--push", target)
        done = project.image(*options, env=made.allow(tmp_path))
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"next: ./inv deploy --set runtime.image={target}:{tag}" in done.stdout
        assert list(made.manifests) == [f"team/triton:{tag}"]
        sent = made.uploads
        assert sent > 2
        assert project.image(*options, env=made.allow(tmp_path)).returncode == 0
        assert made.uploads == sent


def test_a_push_to_nobody_says_what_to_do(project: Project, gpu_base: str, gpu_image: str) -> None:
    options = ("--recipe", "gpu_engine", "--base", gpu_base)
    done = project.image(*options, "--push", "127.0.0.1:9/team/triton")
    assert done.returncode == 1 and "could not be pushed" in done.stderr
    assert "login 127.0.0.1:9" in done.stderr
    other = project.image("--recipe", "gpu", "--base", "x:1", "--push", "127.0.0.1:9/team/triton")
    assert other.returncode == 2 and "--build --push" in other.stderr
