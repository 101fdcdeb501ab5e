"""A client that goes away frees its place; a server that goes away leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as grpc_client

from . import rig
from .client import NEVER, RefusedError, open_request, requests_in, text, wait_until
from .rig import Serving, Workshop

LONG = 1200
FREED_WITHIN_S = 5.0
ORPHAN_S = 10.0


def _idle(serving: Serving) -> bool:
    return requests_in(serving, "active") == 0 and requests_in(serving, "waiting") == 0


def _busy(serving: Serving) -> bool:
    return requests_in(serving, "active") > 0


@pytest.mark.parametrize("model", ["ensemble", "tensorrt_llm_bls"])
def test_a_stream_whose_client_hangs_up_is_dropped(serving: Serving, model: str) -> None:
    wait_until(lambda: _idle(serving), 60)
    endpoint = f"{model}/generate_stream"
    connection = open_request(serving, endpoint, max_tokens=LONG, end_id=NEVER, stream=True)
    wait_until(lambda: _busy(serving), 10)
    connection.close()
    wait_until(lambda: _idle(serving), FREED_WITHIN_S)
    assert text(serving, model, max_tokens=3)


@pytest.mark.parametrize(
    ("model", "streaming"),
    [("tensorrt_llm", True), ("tensorrt_llm", False), ("tensorrt_llm_bls", True)],
)
def test_a_cancelled_grpc_request_is_dropped(serving: Serving, model: str, streaming: bool) -> None:
    wait_until(lambda: _idle(serving), 60)
    with grpc_client.InferenceServerClient(serving.grpc) as client:
        client.start_stream(lambda result, error: None)
        client.async_stream_infer(model, _inputs(model, streaming), request_id="leaving")
        wait_until(lambda: _busy(serving), 10)
        client.stop_stream(cancel_requests=True)
    wait_until(lambda: _idle(serving), FREED_WITHIN_S)


@pytest.mark.parametrize("model", ["ensemble", "tensorrt_llm_bls"])
def test_clients_that_stay_are_answered_while_others_hang_up(serving: Serving, model: str) -> None:
    def stay(_: int) -> str:
        return text(serving, model, max_tokens=5)

    def leave(_: int) -> None:
        endpoint = f"{model}/generate_stream"
        connection = open_request(serving, endpoint, max_tokens=LONG, end_id=NEVER, stream=True)
        connection.sock.recv(1)
        connection.close()

    with ThreadPoolExecutor(6) as pool:
        leaving = [pool.submit(leave, number) for number in range(24)]
        answers = list(pool.map(stay, range(24)))
        for left in leaving:
            left.result()
    assert len(set(answers)) == 1
    wait_until(lambda: _idle(serving), 60)


def test_a_stop_request_ends_the_one_with_its_id(serving: Serving) -> None:
    wait_until(lambda: _idle(serving), 60)
    results: list[int] = []

    def count(result: grpc_client.InferResult | None, error: Exception | None) -> None:
        assert error is None
        assert result is not None
        results.append(result.as_numpy("output_ids").size)

    with grpc_client.InferenceServerClient(serving.grpc) as client:
        client.start_stream(count)
        client.async_stream_infer(
            "tensorrt_llm", _inputs("tensorrt_llm", True), request_id="long-one"
        )
        wait_until(lambda: len(results) > 3, 10)
        stop = _tensor("stop", np.array([[True]]))
        inputs = [*_inputs("tensorrt_llm", False), stop]
        client.async_stream_infer("tensorrt_llm", inputs, request_id="long-one")
        wait_until(lambda: _idle(serving), FREED_WITHIN_S)
        client.stop_stream()
    assert 3 < sum(results) < LONG


def test_more_clients_than_places_are_all_answered(serving: Serving) -> None:
    # 2560 tokens of cache hold about ten of these at once; the others wait.
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda _: text(serving, max_tokens=200, end_id=NEVER), range(24)))
    assert len(set(answers)) == 1


def test_a_full_queue_refuses(workshop: Workshop, tmp_path: Path) -> None:
    def ask(_: int) -> str:
        try:
            return text(small, max_tokens=400, end_id=NEVER)
        except RefusedError as refused:
            return str(refused)

    overrides = {"decoupled_mode": True, "max_queue_size": 2}
    with rig.serve(workshop, tmp_path, **overrides) as small, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(16)))
    refused = [answer for answer in answers if "waiting already" in answer]
    assert refused
    assert all(answer.startswith(("400 ", "503 ")) for answer in refused)
    assert len(refused) < 16


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_busy_server_that_ends_leaves_nothing_behind(
    workshop: Workshop, tmp_path: Path, number: signal.Signals
) -> None:
    repository = tmp_path / "repository"
    rig.render(repository, rig.variables(workshop, {"decoupled_mode": True}))
    process, serving = rig.start(workshop, repository, tmp_path / "log")
    try:
        rig.wait_ready(process, serving)
        stubs = _stubs(process.pid)
        assert len(stubs) == 4
        memory = {name for stub in stubs for name in _shared_memory(stub)}
        assert len(memory) == 4
        endpoint = "ensemble/generate_stream"
        clients = [
            open_request(serving, endpoint, max_tokens=2400, end_id=NEVER, stream=True)
            for _ in range(3)
        ]
        wait_until(lambda: _busy(serving), 10)
        started = time.monotonic()
        process.send_signal(number)
        process.wait(rig.EXIT_TIMEOUT_S + 20)
        wait_until(lambda: not any(_alive(stub) for stub in stubs), ORPHAN_S)
        assert time.monotonic() - started < rig.EXIT_TIMEOUT_S + 20 + ORPHAN_S
        wait_until(lambda: not any(Path("/dev/shm", name).exists() for name in memory), 5)
        for client in clients:
            client.close()
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"batching_strategy": "v1"}, "batching_strategy"),
        ({"max_beam_width": 99}, "max_beam_width 99"),
        ({"max_tokens_in_paged_kv_cache": 640}, "max_tokens_in_paged_kv_cache"),
        ({"max_attention_window_size": 100}, "sliding window"),
        ({"enable_trt_overlap": True}, "enable_trt_overlap"),
        ({"gpu_device_ids": "0"}, "gpu_device_ids"),
        ({"engine_dir": "/nowhere"}, "/nowhere/config.json"),
    ],
)
def test_a_setting_that_cannot_be_honoured_is_refused_at_load(
    workshop: Workshop, tmp_path: Path, overrides: dict[str, object], message: str
) -> None:
    repository = tmp_path / "repository"
    rig.render(repository, rig.variables(workshop, overrides))
    process, serving = rig.start(workshop, repository, tmp_path / "log")
    try:
        assert process.wait(60) != 0
    finally:
        process.kill()
    assert message in serving.log_path.read_text()


def _tensor(name: str, array: np.ndarray) -> grpc_client.InferInput:  # type: ignore[type-arg]
    kinds = {"int32": "INT32", "bool": "BOOL", "object": "BYTES"}
    made = grpc_client.InferInput(name, list(array.shape), kinds[array.dtype.name])
    made.set_data_from_numpy(array)
    return made


def _inputs(model: str, streaming: bool) -> list[grpc_client.InferInput]:
    if model == "tensorrt_llm":
        return [
            _tensor("input_ids", np.array([[1, 2, 3]], dtype=np.int32)),
            _tensor("input_lengths", np.array([[3]], dtype=np.int32)),
            _tensor("request_output_len", np.array([[LONG]], dtype=np.int32)),
            _tensor("streaming", np.array([[streaming]])),
        ]
    return [
        _tensor("text_input", np.array([[b"Count: 1, 2,"]], dtype=np.object_)),
        _tensor("max_tokens", np.array([[LONG]], dtype=np.int32)),
        _tensor("end_id", np.array([[NEVER]], dtype=np.int32)),
        _tensor("stream", np.array([[streaming]])),
    ]


def _stubs(server: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-ww", "--no-headers", "-o", "pid,args", "--ppid", str(server)],
        check=True,
        capture_output=True,
        text=True,
    )
    rows = [line.split(None, 1) for line in listed.stdout.splitlines()]
    return [int(pid) for pid, args in rows if "triton_python_backend_stub" in args]


def _shared_memory(stub: int) -> list[str]:
    arguments = Path(f"/proc/{stub}/cmdline").read_bytes().decode().split("\0")
    return [a for a in arguments if "_backend_shm_region_" in a and "/" not in a]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3]
