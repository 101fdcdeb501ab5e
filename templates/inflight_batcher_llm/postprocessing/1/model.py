"""Token ids to text: the last model of the ensemble.

Tensor names follow tensorrtllm_backend at da59830. Each response of a stream is decoded on its own,
so ``tensorrt_llm`` must not end one within a character: the CPU backend sees to that.

Cancellation: Triton 2.51 does not tell the running step of an ensemble that the client is gone,
but it marks the *next* step's request as cancelled (core r24.10, ensemble_scheduler.cc,
``ScheduleSteps``). For a stream that is this model's. So the CPU backend puts a ticket, the number
by which it can be stopped, into the first value of the context logits, which nobody asked for and
are zero otherwise; here it is read, cleared, and if the client is gone handed back with a ``stop``
request.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils
from tokenizers import Tokenizer

from .orphan import end_with_parent

_TRUE = frozenset({"true", "1", "t", "y", "yes"})
_PASSED_ON = {
    "CUM_LOG_PROBS": "OUT_CUM_LOG_PROBS",
    "OUTPUT_LOG_PROBS": "OUT_OUTPUT_LOG_PROBS",
    "CONTEXT_LOGITS": "OUT_CONTEXT_LOGITS",
    "GENERATION_LOGITS": "OUT_GENERATION_LOGITS",
}


class TritonPythonModel:
    """What Triton's python backend calls."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the tokenizer that the configuration names."""
        end_with_parent()
        parameters = json.loads(args["model_config"])["parameters"]
        directory = Path(parameters["tokenizer_dir"]["string_value"])
        skip = parameters.get("skip_special_tokens", {}).get("string_value", "") or "true"
        self._skip_special_tokens = skip.lower() in _TRUE
        try:
            self._tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        except Exception as error:  # tokenizers raises Exception itself
            raise pb_utils.TritonModelException(f"tokenizer_dir {directory}: {error}") from error

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request with its text."""
        return [self._respond(request) for request in requests]

    def _respond(self, request: Any) -> Any:
        inputs = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
        ticket = take_ticket(inputs)
        if ticket and request.is_cancelled():
            # Kept, so that Python, and no other thread of the stub, destroys it.
            self._stopped = stop_generation(ticket)
        texts = self._texts(inputs["TOKENS_BATCH"], inputs["SEQUENCE_LENGTH"])
        tensors = [pb_utils.Tensor("OUTPUT", np.array(texts, dtype=np.object_))]
        for name, output in _PASSED_ON.items():
            if name in inputs:
                tensors.append(pb_utils.Tensor(output, inputs[name]))
        return pb_utils.InferenceResponse(output_tensors=tensors)

    def _texts(self, tokens: npt.NDArray[np.int32], lengths: npt.NDArray[np.int32]) -> list[bytes]:
        """The text of each beam of each sequence, in order."""
        rows = tokens.reshape(lengths.size, tokens.shape[-1])
        return [
            self._tokenizer.decode(
                row[:length].tolist(), skip_special_tokens=self._skip_special_tokens
            ).encode("utf-8")
            for row, length in zip(rows, lengths.reshape(-1).tolist(), strict=True)
        ]


def take_ticket(inputs: dict[str, npt.NDArray[Any]]) -> int:
    """Remove the ticket from ``inputs`` and return it; 0 if there is none."""
    logits = inputs.get("CONTEXT_LOGITS")
    if logits is None or logits.size != 1:
        return 0
    inputs["CONTEXT_LOGITS"] = np.zeros_like(logits)
    return int(logits.reshape(-1)[0])


def stop_generation(ticket: int) -> Any:
    """Have ``tensorrt_llm`` end the stream that ``ticket`` belongs to; returns the call."""
    one = np.ones((1, 1), dtype=np.int32)
    request = pb_utils.InferenceRequest(
        model_name="tensorrt_llm",
        request_id=f"ticket:{ticket}",
        requested_output_names=["sequence_length"],
        inputs=[
            pb_utils.Tensor("input_ids", one),
            pb_utils.Tensor("input_lengths", one),
            pb_utils.Tensor("request_output_len", one),
            pb_utils.Tensor("stop", np.ones((1, 1), dtype=np.bool_)),
        ],
    )
    responses = request.exec(decoupled=True)
    for response in responses:
        if response.has_error():
            pb_utils.Logger.log_warn(f"{response.error().message()}")
    return responses
