"""The engine kind vllm behind a real Triton, with a double of vLLM in the engine's process.

The double repeats the prompt, so every answer is known in advance.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.doubles.nvidia_smi import Machine
from tests.integration.serving import rig
from tests.integration.serving.client import (
    NEVER,
    QUESTION,
    RefusedError,
    generate,
    open_request,
    requests_in,
    stream,
    text,
    wait_until,
)
from tests.integration.serving.rig import Serving, Workshop


@pytest.fixture(scope="module")
def vllm_workshop(workshop: Workshop) -> Workshop:
    return rig.prepare_vllm(workshop.backends.parent / "vllm", workshop.gguf)


@pytest.fixture(scope="module")
def served(vllm_workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    directory = tmp_path_factory.mktemp("vllm")
    smi = Machine().install(directory / "bin")
    environment = {"PATH": f"{smi}:{os.environ['PATH']}", "VLLM_DOUBLE_STEP_S": "0.01"}
    overrides = {"decoupled_mode": True, "max_beam_width": 1, "triton_max_batch_size": 16}
    with rig.serve(vllm_workshop, directory, environment, **overrides) as running:
        yield running


def _workers() -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"vllm_worker.py" in command and b"-I" in command:
                found.append(int(entry.name))
    return found


def _kill_worker() -> None:
    (worker,) = _workers()
    os.kill(worker, signal.SIGKILL)


def test_an_answer_is_what_the_engine_generated(served: Serving) -> None:
    assert text(served, max_tokens=5, end_id=NEVER) == QUESTION
    assert text(served, max_tokens=10, end_id=NEVER) == QUESTION * 2


def test_a_stream_is_the_answer_in_pieces(served: Serving) -> None:
    pieces = [event["text_output"] for event in stream(served, max_tokens=10, end_id=NEVER)]
    assert len(pieces) > 5
    assert "".join(pieces) == QUESTION * 2


def test_many_clients_at_once_each_get_their_own_answer(served: Serving) -> None:
    questions = [f"Number {number} and nothing else." for number in range(24)]
    with ThreadPoolExecutor(24) as pool:
        answers = pool.map(
            lambda question: text(served, text_input=question, max_tokens=6, end_id=NEVER),
            questions,
        )
    for question, answer in zip(questions, answers, strict=True):
        assert question.startswith(answer) or answer.startswith(question)


def test_stop_words_bad_words_seed_and_log_probabilities_are_taken(served: Serving) -> None:
    assert text(served, max_tokens=40, stop_words=" machine", end_id=NEVER).endswith(" machine")
    assert text(served, max_tokens=5, bad_words="zebra", end_id=NEVER) == QUESTION
    assert text(served, max_tokens=5, top_k=5, random_seed=2**64 - 1, end_id=NEVER)
    answer = generate(served, max_tokens=4, return_log_probs=True, end_id=NEVER)
    assert answer["output_log_probs"] == [-0.25] * 4


def test_what_vllm_refuses_is_the_clients_error(served: Serving) -> None:
    with pytest.raises(RefusedError, match=r"temperature must be in \[0, 2\]"):
        text(served, max_tokens=4, top_k=5, temperature=3.0)
    assert text(served, max_tokens=5, end_id=NEVER) == QUESTION


def test_a_client_that_hangs_up_frees_its_place(served: Serving) -> None:
    connection = open_request(
        served, "tensorrt_llm_bls/generate_stream", max_tokens=2000, end_id=NEVER, stream=True
    )
    wait_until(lambda: requests_in(served, "active") > 0, 10)
    connection.close()
    wait_until(lambda: requests_in(served, "active") == 0, 5)


def test_the_engine_is_started_again_after_its_process_died(served: Serving) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(text, served, max_tokens=2000, end_id=NEVER)
        wait_until(lambda: requests_in(served, "active") > 0, 10)
        _kill_worker()
        with pytest.raises(RefusedError, match="vLLM's process ended"):
            running.result()
    assert text(served, max_tokens=5, end_id=NEVER) == QUESTION


def test_a_request_after_the_engines_process_died_unnoticed_is_answered(served: Serving) -> None:
    _kill_worker()
    assert text(served, max_tokens=5, end_id=NEVER) == QUESTION


def test_the_engines_process_ends_with_the_server(
    vllm_workshop: Workshop, served: Serving, tmp_path: Path
) -> None:
    others = set(_workers())
    smi = Machine().install(tmp_path / "bin")
    environment = {"PATH": f"{smi}:{os.environ['PATH']}"}
    with rig.serve(vllm_workshop, tmp_path, environment, max_beam_width=1) as second:
        (worker,) = set(_workers()) - others
        os.kill(second.server_pid, signal.SIGKILL)
        wait_until(lambda: worker not in _workers(), 15)


def test_an_engine_that_does_not_load_says_why(vllm_workshop: Workshop, tmp_path: Path) -> None:
    smi = Machine().install(tmp_path / "bin")
    environment = {"PATH": f"{smi}:{os.environ['PATH']}", "VLLM_DOUBLE_FAIL": "load"}
    with (
        pytest.raises(AssertionError, match="not ready"),
        rig.serve(vllm_workshop, tmp_path, environment, max_beam_width=1),
    ):
        pass
    log = (tmp_path / "server.log").read_text()
    assert "tensorrt_llm: RuntimeError: CUDA out of memory" in log


def test_without_a_gpu_the_server_says_so(vllm_workshop: Workshop, tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="not ready"),
        rig.serve(vllm_workshop, tmp_path, max_beam_width=1),
    ):
        pass
    log = (tmp_path / "server.log").read_text()
    assert "the GPU cannot be asked for its memory" in log
