"""What has to hold of the running server: its process, its ports, its models, its answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from rolecall.api import Host, Target
from rolecall.verify.checks import AsDeclared
from roles.server import questions, sockets
from roles.server.answering import assert_in_pieces, assert_openai, assert_same_twice
from roles.server.client import is_ready
from roles.server.openai.place import openai_endpoint
from roles.server.openai.service import services as openai_services
from roles.server.role import endpoint, service
from roles.server.settings import Server


@pytest.fixture
def url(target: Target, described: Host) -> Iterator[str]:
    """The base URL of Triton's HTTP API, as it is reached from here."""
    with endpoint(described, target) as found:
        yield found


def test_triton_runs_supervised_from_what_is_declared(
    described: Host, as_declared: AsDeclared
) -> None:
    """The supervisor keeps it, and it was started from these files and settings."""
    as_declared(service(described))


def test_it_listens_where_it_should_and_nowhere_else(host: Any, described: Host) -> None:
    """Each port on the declared address, and no other port of Triton's processes."""
    wanted = sockets.declared(described)
    found = sockets.listening(host, described, service(described).directory)
    missing, further = sorted(wanted - found), sorted(found - wanted)
    if sockets.has_further(described):
        further = []
    assert not (missing or further), "\n".join(
        [
            *(f"nothing listens on {one}" for one in missing),
            *(f"Triton also listens on {one}" for one in further),
            "next: ./inv status, and ./inv logs show what it does; see server.options",
        ]
    )


def test_the_server_is_ready(url: str) -> None:
    """Triton says so of itself."""
    assert is_ready(url), f"{url} is not ready\nnext: ./inv logs shows why, ./inv start starts it"


def test_every_model_is_ready(url: str) -> None:
    """Triton has loaded all models of its repository."""
    models = questions.models(url)
    others = {name: state for name, state in models.items() if state != "READY"}
    assert models and not others, "\n".join(
        [
            *(f"model {name} is {state}, and should be READY" for name, state in others.items()),
            *([] if models else ["Triton has no model"]),
            "next: ./inv logs shows why",
        ]
    )


def test_the_same_question_has_the_same_answer(url: str) -> None:
    """A real answer, and the likeliest one both times."""
    assert_same_twice(url, "./inv logs")


def test_an_answer_comes_in_pieces(url: str) -> None:
    """As a stream, with the same text as in one piece."""
    assert_in_pieces(url, "./inv logs")


def test_metrics_are_told(target: Target, described: Host) -> None:
    """Each model's requests are counted, for Prometheus."""
    port = described.settings(Server).metrics_port
    with target.forward(port) as (name, local):
        text = questions.metrics(f"http://{name}:{local}")
    assert "nv_inference_request_success{" in text, (
        f"port {port} tells no nv_inference_request_success\nnext: ./inv logs"
    )


def test_the_openai_api_runs_supervised_from_what_is_declared(
    described: Host, as_declared: AsDeclared
) -> None:
    """Where ``server.openai`` asks for it."""
    as_declared(*_openai(described))


def test_the_openai_api_names_its_model_and_answers(target: Target, described: Host) -> None:
    """A list of one model, and a chat; and nothing without the key, where there is one."""
    _openai(described)
    with openai_endpoint(described, target) as base:
        assert_openai(base, described, "./inv logs --openai")


def _openai(host: Host) -> list[Any]:
    found = openai_services(host)
    if not found:
        pytest.skip("server.openai is off")
    return list(found)
