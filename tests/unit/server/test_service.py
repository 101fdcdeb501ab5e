"""Triton's service in each kind of runtime."""

from __future__ import annotations

import subprocess

import pytest

from rolecall.errors import ConfigError
from rolecall.facts import Facts
from rolecall.resource import Observed
from rolecall.role import Host
from roles.engine.settings import Engine
from roles.python.settings import Python
from roles.repo.settings import Repo
from roles.runtime.settings import Runtime
from roles.server.service import service
from roles.server.settings import Server
from tests.unit.runtime.test_runtime import host

LLMAPI = {
    "python": Python(lock="none"),
    "engine": Engine(kind="none"),
    "repo": Repo(kind="llmapi"),
}
DOCKER = {"runtime.engine": "docker", "gpu.driver": "590.44.01"}


def llmapi(tensor_parallel_size: int = 1, **changes: object) -> Host:
    repo = Repo(kind="llmapi", llmapi={"tensor_parallel_size": tensor_parallel_size})  # type: ignore[arg-type]
    values: dict[str, object] = {**LLMAPI, "repo": repo, "runtime": Runtime(kind="container")}
    return host(DOCKER, **{**values, **changes})


def test_in_the_environment_it_is_the_environments_triton() -> None:
    made = service(host())
    assert made.command[:2] == ("/bin/sh", made.command[1])
    assert made.command[1].endswith("/launch.sh")
    assert made.command[2:4] == ("/home/u/.rolecall/python/cpu/bin/python", "tritonserver")
    assert not (made.outside or made.cleanup or made.stop_leader)


def test_in_a_container_it_is_the_images_triton_with_what_it_needs() -> None:
    made = service(llmapi(server=Server(env={"NCCL_DEBUG": "INFO"})))
    said = " ".join(made.command)
    assert made.command[1].endswith("/container.sh")
    assert made.command[2:4] == ("docker", "docker")
    assert made.command[4].startswith("rolecall-") and made.command[4].endswith("-triton")
    for part in (
        "--gpus all",
        "--shm-size=2g",
        "--ulimit=memlock=-1",
        "--ulimit=stack=67108864",
        "--log-driver=none",
        "--pull=never",
        "--network=host",
        "--mount=type=bind,source=/home/u/.rolecall/artifacts,"
        "target=/home/u/.rolecall/artifacts,readonly",
        "--env=NCCL_DEBUG=INFO",
        "nvcr.io/nvidia/tritonserver:26.06-trtllm-python-py3 /bin/sh",
        "launch_installed.sh",
        "tritonserver --model-repository=",
    ):
        assert part in said
    assert "python/cpu" not in said and "--backend-directory" not in said
    assert made.stop_leader and made.command[4] in made.cleanup


def test_a_network_of_its_own_publishes_the_ports_on_the_address() -> None:
    runtime = Runtime(kind="container", network="bridge", gpus="")
    server = Server(address="::1")
    said = service(llmapi(runtime=runtime, server=server)).command
    assert "--publish=[::1]:8000:8000" in said
    assert "--http-address=0.0.0.0" in said
    assert "--network=host" not in said


def test_an_installed_one_takes_up_what_the_image_sets() -> None:
    made = service(llmapi(runtime=Runtime(kind="installed", tritonserver="/srv/bin/tritonserver")))
    assert made.command[1].endswith("/launch_installed.sh")
    assert made.command[2].endswith("/environment.sh")
    assert made.command[3:5] == ("/srv/bin/tritonserver", "tritonserver")


def test_an_engine_of_several_ranks_is_a_server_for_each() -> None:
    engine = Engine(kind="tensorrt_llm", tensorrt_llm={"tp_size": 2, "pp_size": 2})  # type: ignore[arg-type]
    where = llmapi(engine=engine, repo=Repo(kind="upstream"))
    made = service(where)
    assert made.command.count("tritonserver") == 4
    assert any(word.endswith("/launch_ranks.sh") for word in made.command)
    assert made.stop_leader


def test_the_llm_api_on_several_gpus_is_one_server_under_mpirun() -> None:
    made = service(llmapi(4, runtime=Runtime(kind="installed")))
    assert made.command.count("tritonserver") == 1 and "mpirun" in made.command


def test_without_any_triton_it_is_refused() -> None:
    with pytest.raises(ConfigError, match="no Triton to start"):
        service(llmapi(runtime=Runtime()))


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_the_hooks_are_valid_shell(shell: str, engine: str) -> None:
    runtime = Runtime(kind="container", engine=engine, client="/a b/client")  # type: ignore[arg-type]
    made = service(llmapi(runtime=runtime))
    for text in (made.outside, made.cleanup):
        subprocess.run([shell, "-n"], input=text, text=True, check=True)


def test_a_home_that_triton_cannot_use_is_refused() -> None:
    facts = Facts.parse(Observed.parse("home=/h\nstate_dir=/h/a b"))
    with pytest.raises(ConfigError, match="cannot work below"):
        service(Host("h", facts, host().all_settings))
