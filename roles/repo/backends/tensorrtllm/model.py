"""The ``tensorrtllm`` backend where TensorRT-LLM is not: OpenVINO on a CPU, vLLM on a GPU.

A python-based Triton backend: the model repository keeps ``backend: "tensorrtllm"`` and the tensors
and parameters of tensorrtllm_backend, and only the backend directory differs from a GPU machine's.
``execute`` hands requests to the engine thread and returns; see ``inflight``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

sys.path.insert(0, str(Path(__file__).resolve().parent))

from inflight.engine import Engine, Failure, Load
from inflight.errors import OverloadError, RequestError, SettingsError
from inflight.orphan import end_with_parent
from inflight.output import Tokens
from inflight.pipeline import free_memory, open_pipeline
from inflight.requests import Generation, read_request, wants_stop
from inflight.settings import Settings, read_settings
from inflight.vocabulary import load_vocabulary

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
CLOSE_TIMEOUT_S = 5.0
TICKET_EVERY = 4
"""A stream carries its ticket in each so many-th response; see ``templates``, postprocessing."""

MAX_TICKET = 2**24
"""Tickets travel as float32, which is exact up to here."""

_ERROR_CODES = {
    Failure.INVALID: "INVALID_ARG",
    Failure.UNAVAILABLE: "UNAVAILABLE",
    Failure.CANCELLED: "CANCELLED",
    Failure.INTERNAL: "INTERNAL",
}


class TritonClient:
    """Sends one request's answer through its Triton response sender."""

    def __init__(
        self, sender: Any, generation: Generation, settings: Settings, ticket: int
    ) -> None:
        self._sender = sender
        self._generation = generation
        self._echo = not settings.exclude_input and not generation.streaming
        self._ticket = ticket
        self._sent = 0
        self._cumulative: list[float] = [0.0] * generation.sampling.beams

    def is_cancelled(self) -> bool:
        """Whether the client has gone away."""
        return bool(self._sender.is_cancelled())

    def deliver(self, beams: list[Tokens], final: bool) -> None:
        """Send ``beams``; a stream that has sent all its tokens is only closed."""
        if final and self._sent and not any(beam.ids for beam in beams):
            self._sender.send(flags=FINAL)
            return
        self._sent += 1
        self._sender.send(self._response(beams), flags=FINAL if final else 0)

    def fail(self, failure: Failure, message: str) -> None:
        """Send an error and close."""
        send_error(self._sender, failure, message)

    def _response(self, beams: list[Tokens]) -> Any:
        prompt = self._generation.input_ids if self._echo else ()
        width = len(beams)
        lengths = [len(prompt) + len(beam.ids) for beam in beams]
        longest = max(lengths)
        ids = np.full((1, width, longest), self._generation.pad_id, dtype=np.int32)
        log_probs = np.zeros((1, width, max(len(beam.ids) for beam in beams)), dtype=np.float32)
        for row, beam in enumerate(beams):
            ids[0, row, : lengths[row]] = (*prompt, *beam.ids)
            if self._generation.log_probs:
                log_probs[0, row, : len(beam.ids)] = beam.log_probs
                self._cumulative[row] += sum(beam.log_probs)
        streaming = self._generation.streaming
        ticket = self._ticket if streaming and self._sent % TICKET_EVERY == 1 else 0
        return pb_utils.InferenceResponse(
            output_tensors=[
                pb_utils.Tensor("output_ids", ids),
                pb_utils.Tensor("sequence_length", np.array([lengths], dtype=np.int32)),
                pb_utils.Tensor(
                    "cum_log_probs", np.array([self._cumulative[:width]], dtype=np.float32)
                ),
                pb_utils.Tensor("output_log_probs", log_probs),
                pb_utils.Tensor("context_logits", np.full((1, 1, 1), ticket, dtype=np.float32)),
                pb_utils.Tensor("generation_logits", np.zeros((1, 1, 1, 1), dtype=np.float32)),
            ]
        )


class LoadMetrics:
    """Publishes the engine's load under the names that TensorRT-LLM's own backend uses."""

    def __init__(self, model: str, version: str) -> None:
        labels = {"model": model, "version": version}
        requests = pb_utils.MetricFamily(
            name="nv_trt_llm_request_metrics",
            description="TRT LLM request metrics",
            kind=pb_utils.MetricFamily.GAUGE,
        )
        blocks = pb_utils.MetricFamily(
            name="nv_trt_llm_kv_cache_block_metrics",
            description="TRT LLM KV cache block metrics",
            kind=pb_utils.MetricFamily.GAUGE,
        )
        self._families = (requests, blocks)
        self._requests = {
            kind: requests.Metric(labels={"request_type": kind, **labels})
            for kind in ("active", "waiting", "max")
        }
        self._blocks = {
            kind: blocks.Metric(labels={"kv_cache_block_type": kind, **labels})
            for kind in ("used", "free", "max")
        }

    def show(self, load: Load) -> None:
        """Publish ``load``."""
        self._requests["active"].set(load.active)
        self._requests["waiting"].set(load.waiting)
        self._requests["max"].set(load.max_active)
        self._blocks["used"].set(load.blocks_reserved)
        self._blocks["free"].set(max(0, load.blocks_total - load.blocks_reserved))
        self._blocks["max"].set(load.blocks_total)


class TritonPythonModel:
    """What Triton's python backend calls."""

    def initialize(self, args: dict[str, str]) -> None:
        """Check the configuration, load the engine and start its thread."""
        end_with_parent()
        try:
            self._settings = read_settings(json.loads(args["model_config"]), free_memory)
            vocabulary = load_vocabulary(self._settings.engine_dir / "tokenizer.json")
            metrics = LoadMetrics(args["model_name"], args["model_version"])
            self._engine = Engine(
                self._settings,
                vocabulary,
                open_pipeline,
                report=metrics.show,
                log_error=pb_utils.Logger.log_error,
                give_up=lambda: os._exit(1),
            )
        except (SettingsError, OSError, RuntimeError) as error:
            message = f"{args['model_name']}: {error}"
            pb_utils.Logger.log_error(message)
            raise pb_utils.TritonModelException(message) from error
        self._tickets: Iterator[int] = count(1)
        pb_utils.Logger.log_info(f"{args['model_name']}: {self._settings}")

    def execute(self, requests: list[Any]) -> None:
        """Hand ``requests`` to the engine; the answers come from its thread."""
        for request in requests:
            sender = request.get_response_sender()
            try:
                self._take(request, sender)
            except RequestError as error:
                send_error(sender, Failure.INVALID, str(error))
            except OverloadError as error:
                send_error(sender, Failure.UNAVAILABLE, str(error))

    def finalize(self) -> None:
        """End the engine thread; called when the model is unloaded."""
        self._engine.close(CLOSE_TIMEOUT_S)

    def _take(self, request: Any, sender: Any) -> None:
        tensors = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
        name = request.request_id()
        if wants_stop(tensors):
            if not name:
                raise RequestError("stop needs the request id of the request to be stopped")
            self._engine.stop(name)
            send_nothing(sender)
            return
        generation = read_request(tensors, self._settings)
        ticket = 1 + next(self._tickets) % MAX_TICKET
        names = {f"ticket:{ticket}", name} - {""}
        client = TritonClient(sender, generation, self._settings, ticket)
        self._engine.submit(frozenset(names), generation, client)


def send_error(sender: Any, failure: Failure, message: str) -> None:
    """Answer with an error and close."""
    code = getattr(pb_utils.TritonError, _ERROR_CODES[failure])
    error = pb_utils.TritonError(message, code)
    sender.send(pb_utils.InferenceResponse(error=error), flags=FINAL)


def send_nothing(sender: Any) -> None:
    """Answer with no tokens and close."""
    empty = {
        "output_ids": np.zeros((1, 1, 0), dtype=np.int32),
        "sequence_length": np.zeros((1, 1), dtype=np.int32),
        "cum_log_probs": np.zeros((1, 1), dtype=np.float32),
        "output_log_probs": np.zeros((1, 1, 0), dtype=np.float32),
        "context_logits": np.zeros((1, 1, 1), dtype=np.float32),
        "generation_logits": np.zeros((1, 1, 1, 1), dtype=np.float32),
    }
    tensors = [pb_utils.Tensor(name, value) for name, value in empty.items()]
    sender.send(pb_utils.InferenceResponse(output_tensors=tensors), flags=FINAL)
