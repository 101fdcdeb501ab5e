"""What the server answers is checked: a real Triton, and a relay that breaks what it says."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator

import pytest

from roles.server import verify
from tests.integration.deployed import Deployment
from tests.integration.verify.relay import Relay, relay

CHECKS: tuple[Callable[[str], None], ...] = (
    verify.test_the_server_is_ready,
    verify.test_every_model_is_ready,
    verify.test_the_same_question_has_the_same_answer,
    verify.test_an_answer_comes_in_pieces,
)


@pytest.fixture(scope="module")
def whole(deployed: Deployment) -> Iterator[Relay]:
    with relay(deployed.http) as made:
        yield made


@pytest.fixture
def broken(whole: Relay) -> Iterator[Relay]:
    yield whole
    whole.changes.clear()


def failing(where: Relay) -> dict[str, str]:
    """The checks that do not hold, and what they say."""
    said: dict[str, str] = {}
    for check in CHECKS:
        try:
            check(f"http://127.0.0.1:{where.port}")
        except AssertionError as error:  # noqa: PERF203 - each is asked
            said[check.__name__.removeprefix("test_")] = str(error)
    return said


def test_a_server_that_is_well_holds_every_check(broken: Relay) -> None:
    assert failing(broken) == {}


def test_a_server_that_says_it_is_not_ready(broken: Relay) -> None:
    broken.changes["/v2/health/ready"] = lambda _, content: (400, content)
    said = failing(broken)
    assert set(said) == {"the_server_is_ready"} and "next: " in said["the_server_is_ready"]


def test_a_model_that_is_not_loaded_is_named_with_its_reason(broken: Relay) -> None:
    def unloaded(status: int, content: bytes) -> tuple[int, bytes]:
        listed = json.loads(content)
        next(one for one in listed if one["name"] == "postprocessing").update(
            state="UNAVAILABLE", reason="unloaded"
        )
        return status, json.dumps(listed).encode()

    broken.changes["/v2/repository/index"] = unloaded
    said = failing(broken)
    assert set(said) == {"every_model_is_ready"}
    assert "postprocessing is UNAVAILABLE unloaded" in said["every_model_is_ready"]


def test_answers_that_vary_are_shown_side_by_side(broken: Relay) -> None:
    count = itertools.count()
    broken.changes["/generate"] = lambda status, _: (
        status,
        json.dumps({"text_output": f"answer {next(count)}"}).encode(),
    )
    said = failing(broken)
    # The stream says what it should, and the whole answer does not.
    assert set(said) == {"the_same_question_has_the_same_answer", "an_answer_comes_in_pieces"}
    assert "  answer 0\n  answer 1\n" in said["the_same_question_has_the_same_answer"]


def test_a_stream_that_loses_a_piece_is_told(broken: Relay) -> None:
    def cut(status: int, content: bytes) -> tuple[int, bytes]:
        pieces = content.split(b"\n\n")
        return status, b"\n\n".join([*pieces[:2], *pieces[3:]])

    broken.changes["/generate_stream"] = cut
    said = failing(broken)
    assert set(said) == {"an_answer_comes_in_pieces"}
    assert "and the answer in one piece" in said["an_answer_comes_in_pieces"]


def test_an_answer_that_comes_all_at_once_is_no_stream(broken: Relay) -> None:
    at_once = f"data: {json.dumps({'text_output': 'all at once'})}\n\n".encode()
    broken.changes["/generate_stream"] = lambda status, _: (status, at_once)
    said = failing(broken)
    assert set(said) == {"an_answer_comes_in_pieces"}
    assert "the stream was one piece: 'all at once'" in said["an_answer_comes_in_pieces"]
