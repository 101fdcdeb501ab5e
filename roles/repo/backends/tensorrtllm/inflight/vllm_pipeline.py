"""The pipeline of vLLM, which runs in a process of its own with a Python of its own.

Triton's python backend needs numpy 1, vLLM numpy 2; so the engine lives in ``vllm_worker.py``,
started with the Python that the engine's config.json names. Both speak in lines of JSON over the
worker's standard input and a pipe of its own for the answers; its output goes to the server's log.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .bad_words import without_words
from .errors import SettingsError
from .output import Tokens
from .requests import Generation
from .settings import Settings
from .vocabulary import Vocabulary

WORKER = Path(__file__).with_name("vllm_worker.py")

STEP_S = 0.05
"""The longest that one step waits for tokens; orders wait as long."""

LOAD_TIMEOUT_S = 1800.0
"""vLLM compiles and captures graphs at its first start, which takes minutes for large models."""

END_TIMEOUT_S = 20.0

ACTIVATION_BYTES = 4 * 2**30
"""Kept free on each GPU for activations, graphs and the CUDA context: an estimate."""

DRIVER_PROGRAMS = "/usr/bin:/usr/local/nvidia/bin:/usr/lib/wsl/lib:/opt/bin"
"""Where nvidia-smi is when a service's PATH does not say."""

DRIVER_LIBRARIES = ("/usr/local/nvidia/lib", "/usr/local/nvidia/lib64")
_MAX_SEED = 2**63 - 1


@dataclass
class VllmRunning:
    """A request in the batch."""

    number: int
    pipeline: VllmPipeline
    produced: Tokens = field(default_factory=Tokens)
    finished: str = ""
    refused: str = ""

    def read(self) -> list[Tokens]:
        """What came since the last reading."""
        new, self.produced = self.produced, Tokens()
        return [new] if new.ids or self.finished else []

    def is_running(self) -> bool:
        """Whether more will come."""
        return not self.finished

    def ran_out_of_cache(self) -> bool:
        """Never: vLLM makes a request wait, and admission bounds what may run."""
        return False

    def refusal(self) -> str:
        """Why vLLM did not take it; empty if it did."""
        return self.refused

    def stop(self) -> None:
        """End it and keep what it has generated."""
        self.cancel()

    def cancel(self) -> None:
        """End it."""
        self.pipeline.abort(self)


class VllmPipeline:
    """The worker process and the requests in it."""

    def __init__(self, process: subprocess.Popen[str], answers: int) -> None:
        self._process = process
        self._running: dict[int, VllmRunning] = {}
        self._messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=_read, args=(answers, self._messages), name="vllm-answers", daemon=True
        )
        self._thread.start()

    def load(self, arguments: dict[str, Any]) -> None:
        """Have the engine loaded; raises ``RuntimeError`` with the reason if it cannot be."""
        try:
            self._send({"load": arguments})
            message = self._messages.get(timeout=LOAD_TIMEOUT_S)
        except queue.Empty:
            self.close()
            raise RuntimeError(f"vLLM has not loaded within {LOAD_TIMEOUT_S:.0f} s") from None
        if message is None or "failed" in message:
            self.close()
            raise RuntimeError(_reason(message, self._process.poll()))

    def add_request(
        self, number: int, generation: Generation, vocabulary: Vocabulary
    ) -> VllmRunning:
        """Take a request into the batch; ``RequestError`` for bad words that cannot be banned."""
        parameters = sampling_parameters(generation, vocabulary)
        self._send({"add": number, "ids": generation.input_ids, "sampling": parameters})
        running = VllmRunning(number, self)
        self._running[number] = running
        return running

    def step(self) -> None:
        """Wait for the next tokens, but not long.

        Raises ``RuntimeError`` if the worker has failed or is gone.
        """
        try:
            message = self._messages.get(timeout=STEP_S)
            while True:
                self._take(message)
                message = self._messages.get_nowait()
        except queue.Empty:
            return

    def has_non_finished_requests(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._running)

    def abort(self, running: VllmRunning) -> None:
        """End a request."""
        running.finished = "aborted"
        if self._running.pop(running.number, None):
            with suppress(OSError):  # a worker that is gone has ended it already
                self._send({"abort": running.number})

    def close(self) -> None:
        """End the worker: it leaves when its input ends."""
        try:
            if self._process.stdin:
                self._process.stdin.close()
            self._process.wait(END_TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()

    def _send(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise BrokenPipeError(_reason(None, self._process.poll())) from error

    def _take(self, message: dict[str, Any] | None) -> None:
        if message is None or "failed" in message:
            raise RuntimeError(_reason(message, self._process.poll()))
        for number, reason in message.get("refused", ()):
            if running := self._running.pop(number, None):
                running.refused = running.finished = reason
        for number, ids, log_probs, finished in message.get("tokens", ()):
            running = self._running.get(number)
            if running is None:  # ended from this side in the meantime
                continue
            running.produced += Tokens(tuple(ids), tuple(log_probs or (0.0,) * len(ids)))
            if finished:
                running.finished = finished
                del self._running[number]


def open_pipeline(settings: Settings) -> VllmPipeline:
    """Start the worker and wait until it has loaded the engine.

    Raises ``RuntimeError`` with the worker's reason if it cannot.
    """
    python, arguments = _engine(settings.engine_dir)
    options = engine_options(settings, arguments)
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [python, "-I", "-B", str(WORKER), str(writing)],
        stdin=subprocess.PIPE,
        stdout=2,
        pass_fds=(writing,),
        text=True,
        env=worker_environment(os.environ),
    )
    os.close(writing)
    pipeline = VllmPipeline(process, reading)
    pipeline.load(options)
    return pipeline


def engine_options(settings: Settings, arguments: dict[str, Any]) -> dict[str, Any]:
    """The ``EngineArgs`` of vLLM (0.26, vllm/engine/arg_utils.py) to load the engine with."""
    limits = settings.limits
    shards = int(arguments.get("tensor_parallel_size", 1))
    cache = settings.kv_blocks * limits.block_tokens * limits.kv_bytes_per_token
    return {
        **arguments,
        "model": str(settings.engine_dir / "checkpoint"),
        "max_num_seqs": limits.max_batch_size,
        "max_model_len": limits.max_seq_len,
        "max_num_batched_tokens": max(limits.max_num_tokens, limits.max_seq_len),
        "block_size": limits.block_tokens,
        "kv_cache_memory_bytes": cache // shards,
        # vLLM refuses to start where less than this share of a GPU is free, whatever it needs.
        "gpu_memory_utilization": round(
            min(free / total for free, total in gpu_memory()) - 0.01, 3
        ),
        "enable_prefix_caching": settings.reuse_prefix,
        "disable_log_stats": True,
    }


def worker_environment(environment: os._Environ[str]) -> dict[str, str]:
    """Triton's environment without what points Python and the loader to Triton's own libraries."""
    left_out = ("LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "LD_PRELOAD")
    kept = {name: value for name, value in environment.items() if name not in left_out}
    defaults = {
        # One process is enough: the worker is one already, and reports at once what fails in it.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        # FlashInfer's sampler is compiled on the host, which may have no CUDA toolkit.
        "VLLM_USE_FLASHINFER_SAMPLER": "0",
    }
    # As NVIDIA's images have it, where the driver is mounted from the machine below.
    driver = [folder for folder in DRIVER_LIBRARIES if Path(folder).is_dir()]
    if driver:
        defaults["LD_LIBRARY_PATH"] = ":".join(driver)
    # The engine is on this machine; nothing is to be looked up or reported anywhere.
    fixed = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    return {**defaults, **kept, **fixed}


def sampling_parameters(generation: Generation, vocabulary: Vocabulary) -> dict[str, Any]:
    """``generation`` as keyword arguments of vLLM's ``SamplingParams``, and perhaps a grammar."""
    sampling = generation.sampling
    parameters: dict[str, Any] = {
        "max_tokens": generation.max_tokens,
        "min_tokens": sampling.min_tokens,
        "ignore_eos": True,
        "temperature": sampling.temperature if sampling.sample else 0.0,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "repetition_penalty": sampling.repetition_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "detokenize": False,
    }
    if generation.end_id is not None:
        parameters["stop_token_ids"] = [generation.end_id]
    if sampling.sample:
        parameters["seed"] = min(sampling.seed, _MAX_SEED)
    if generation.log_probs:
        parameters["logprobs"] = 0
    if generation.bad_words:
        words = [vocabulary.spell(word).decode("utf-8", "replace") for word in generation.bad_words]
        parameters["grammar"] = without_words(words)
        parameters["ignore_eos"] = False
    return parameters


def free_memory(engine_dir: Path) -> int:
    """Bytes that are free on all its GPUs once the engine is loaded: an estimate.

    Raises ``SettingsError`` if there is no GPU to ask.
    """
    least = min(free for free, _ in gpu_memory()) * 2**20
    weights = sum(file.stat().st_size for file in engine_dir.glob("checkpoint/*.safetensors"))
    _, arguments = _engine(engine_dir)
    shards = int(arguments.get("tensor_parallel_size", 1))
    return max(0, (least - ACTIVATION_BYTES) * shards - weights)


def gpu_memory() -> list[tuple[int, int]]:
    """Free and total memory of each GPU, in MiB.

    Raises ``SettingsError`` if there is no GPU to ask.
    """
    program = shutil.which("nvidia-smi") or shutil.which("nvidia-smi", path=DRIVER_PROGRAMS)
    query = "--query-gpu=memory.free,memory.total"
    command = [program or "nvidia-smi", query, "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        rows = [line.split(",") for line in answer.stdout.splitlines()]
        return [(int(free), int(total)) for free, total in rows]
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise SettingsError(f"the GPU cannot be asked for its memory: {error}") from error


def _engine(engine_dir: Path) -> tuple[str, dict[str, Any]]:
    """The worker's Python, and the arguments that the engine was built with."""
    path = engine_dir / "config.json"
    own = json.loads(path.read_text(encoding="utf-8")).get("vllm", {})
    if not {"python", "arguments"} <= set(own):
        raise SettingsError(f"{path}: vllm.python or vllm.arguments is missing")
    return own["python"], own["arguments"]


def _read(answers: int, messages: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    with os.fdopen(answers, encoding="utf-8") as stream:
        for line in stream:
            messages.put(json.loads(line))
    messages.put(None)


def _reason(message: dict[str, Any] | None, status: int | None) -> str:
    if message:
        return str(message["failed"])
    return f"vLLM's process ended (status {status}): the log above says why"
