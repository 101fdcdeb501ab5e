"""Triton's command line, alone and as ranks."""

from __future__ import annotations

import pytest

from roles.server.command import Ranks, command, tritonserver
from roles.server.settings import Server

SETTINGS = Server(options=("--log-verbose=1",))
OPTIONS = tritonserver(SETTINGS, "/repo", "/backends")


def test_one_server_is_started_as_it_is() -> None:
    assert command(SETTINGS, Ranks("plain"), OPTIONS) == (
        "tritonserver",
        "--model-repository=/repo",
        "--backend-directory=/backends",
        "--http-address=127.0.0.1",
        "--http-port=8000",
        "--grpc-address=127.0.0.1",
        "--grpc-port=8001",
        "--metrics-address=127.0.0.1",
        "--metrics-port=8002",
        "--disable-auto-complete-config",
        "--exit-timeout-secs=10",
        "--log-verbose=1",
        "--model-control-mode=none",
    )


def test_without_backends_of_its_own_it_keeps_those_of_the_image() -> None:
    assert not [option for option in tritonserver(SETTINGS, "/repo", "") if "backend" in option]
    assert "--http-address=0.0.0.0" in tritonserver(SETTINGS, "/repo", "", "0.0.0.0")


def test_ranks_are_composed_as_by_upstreams_launcher() -> None:
    options = ("--model-repository=/repo",)
    assert command(Server(mpirun_options=()), Ranks("mpirun", 3), options) == (
        *("mpirun", "--allow-run-as-root"),
        *("-n", "1", "tritonserver", "--model-repository=/repo", "--model-control-mode=none"),
        *("--backend-config=python,shm-region-prefix-name=prefix0_", ":"),
        *("-n", "1", "tritonserver", "--model-repository=/repo", "--model-control-mode=explicit"),
        *("--load-model=tensorrt_llm", "--backend-config=python,shm-region-prefix-name=prefix1_"),
        ":",
        *("-n", "1", "tritonserver", "--model-repository=/repo", "--model-control-mode=explicit"),
        *("--load-model=tensorrt_llm", "--backend-config=python,shm-region-prefix-name=prefix2_"),
    )


def test_the_llm_apis_launcher_wraps_each() -> None:
    said = command(Server(), Ranks("llmapi", 2), ("--x",))
    assert [said[at + 1] for at, word in enumerate(said) if word == "trtllm-llmapi-launch"] == [
        "tritonserver"
    ] * 2


@pytest.mark.parametrize(
    ("chosen", "world", "spawns", "expected"),
    [
        ("auto", 1, False, Ranks("plain", 1)),
        ("auto", 4, False, Ranks("mpirun", 4)),
        # The LLM API starts its workers itself, from one server under mpirun.
        ("auto", 4, True, Ranks("mpirun", 1)),
        ("auto", 1, True, Ranks("plain", 1)),
        ("plain", 4, True, Ranks("plain", 1)),
        ("mpirun", 1, False, Ranks("mpirun", 1)),
        ("llmapi", 4, True, Ranks("llmapi", 4)),
    ],
)
def test_how_many_servers_there_are(chosen: str, world: int, spawns: bool, expected: Ranks) -> None:
    assert Ranks.of(chosen, world, spawns=spawns) == expected
