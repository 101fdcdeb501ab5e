"""Text in, text out, as a program rather than an ensemble.

Tensor names follow tensorrtllm_backend at da59830. Against the ensemble it adds: pieces of a stream
are cut with the text before them in view, whatever the tokenizer; ``accumulate_tokens`` sends the
whole text so far each time. A client of a stream that goes away frees its place in the batch. As
upstream's, an instance serves one request at a time: with Triton 2.51, decoupled calls from
several threads of a stub corrupt its memory, seen once in some hundred streams of a busy machine
(python_backend r24.10: Stub::SendCleanupId may be the last to hold what Python made).
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils

from .orphan import end_with_parent

Arrays = dict[str, npt.NDArray[Any]]

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
CANCEL_CHECK_S = 0.1
KEPT_CALLS = 3
"""Finished calls that are kept for a while, so that Python, and no other thread, destroys them."""

REPLACEMENT = "\ufffd"
_TRUE = frozenset({"true", "1", "t", "y", "yes"})

_TO_PREPROCESSING = {
    "text_input": "QUERY",
    "max_tokens": "REQUEST_OUTPUT_LEN",
    "bad_words": "BAD_WORDS_DICT",
    "stop_words": "STOP_WORDS_DICT",
    "embedding_bias_words": "EMBEDDING_BIAS_WORDS",
    "embedding_bias_weights": "EMBEDDING_BIAS_WEIGHTS",
    "end_id": "END_ID",
    "pad_id": "PAD_ID",
}
_FROM_PREPROCESSING = {
    "INPUT_ID": "input_ids",
    "REQUEST_INPUT_LEN": "input_lengths",
    "REQUEST_OUTPUT_LEN": "request_output_len",
    "BAD_WORDS_IDS": "bad_words_list",
    "STOP_WORDS_IDS": "stop_words_list",
    "EMBEDDING_BIAS": "embedding_bias",
    "OUT_END_ID": "end_id",
    "OUT_PAD_ID": "pad_id",
}
_TO_ENGINE = {
    "beam_width": "beam_width",
    "top_k": "runtime_top_k",
    "top_p": "runtime_top_p",
    "temperature": "temperature",
    "length_penalty": "len_penalty",
    "repetition_penalty": "repetition_penalty",
    "min_length": "min_length",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "random_seed": "random_seed",
    "return_log_probs": "return_log_probs",
    "return_context_logits": "return_context_logits",
    "return_generation_logits": "return_generation_logits",
    "stream": "streaming",
    "prompt_embedding_table": "prompt_embedding_table",
    "prompt_vocab_size": "prompt_vocab_size",
}
_TO_POSTPROCESSING = {
    "output_ids": "TOKENS_BATCH",
    "sequence_length": "SEQUENCE_LENGTH",
    "cum_log_probs": "CUM_LOG_PROBS",
    "output_log_probs": "OUTPUT_LOG_PROBS",
    "context_logits": "CONTEXT_LOGITS",
    "generation_logits": "GENERATION_LOGITS",
}
_FROM_POSTPROCESSING = {
    "OUTPUT": "text_output",
    "OUT_CUM_LOG_PROBS": "cum_log_probs",
    "OUT_OUTPUT_LOG_PROBS": "output_log_probs",
    "OUT_CONTEXT_LOGITS": "context_logits",
    "OUT_GENERATION_LOGITS": "generation_logits",
}


class StepError(Exception):
    """One of the three models refused; the text is its own."""


class TritonPythonModel:
    """What Triton's python backend calls."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the configuration."""
        end_with_parent()
        config = json.loads(args["model_config"])
        accumulate = config["parameters"].get("accumulate_tokens", {}).get("string_value", "")
        self._accumulate = accumulate.lower() in _TRUE
        self._decoupled = pb_utils.using_decoupled_model_transaction_policy(config)
        self._names = (f"bls:{os.getpid()}:{number}" for number in itertools.count())
        self._finished: deque[Any] = deque(maxlen=KEPT_CALLS)

    def execute(self, requests: list[Any]) -> None:
        """Answer one request after the other; Triton gives others to idle instances meanwhile."""
        for request in requests:
            inputs = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
            self._serve(next(self._names), inputs, Client(request.get_response_sender()))

    def _serve(self, name: str, inputs: Arrays, client: Client) -> None:
        try:
            self._generate(name, inputs, client)
        except StepError as error:
            client.send(_error("INVALID_ARG", str(error)), final=True)
        except Exception as error:
            pb_utils.Logger.log_error(f"tensorrt_llm_bls: {error}")
            client.send(_error("INTERNAL", str(error)), final=True)

    def _generate(self, name: str, inputs: Arrays, client: Client) -> None:
        if inputs["text_input"].shape[0] != 1:
            raise StepError("inflight batching takes requests with a batch size of 1 only")
        prepared = _call("preprocessing", _renamed(inputs, _TO_PREPROCESSING), _FROM_PREPROCESSING)
        engine_inputs = {
            **_renamed(prepared, _FROM_PREPROCESSING),
            **_renamed(inputs, _TO_ENGINE),
        }
        streaming = bool(inputs.get("stream", np.zeros(1)).reshape(-1)[0])
        text = StreamedText(self._accumulate) if streaming else None
        answered = False
        for outputs in self._call_engine(name, engine_inputs):
            answered = True
            if client.has_gone():
                self._stop(name)
            client.send(_response(outputs, text), final=not streaming)
        if not answered:
            raise StepError("tensorrt_llm gave no answer")
        if text is not None:
            client.send(_text_response(text.rest()) if text.held_back() else None, final=True)

    def _call_engine(self, name: str, inputs: Arrays) -> Iterator[Arrays]:
        request = _request("tensorrt_llm", inputs, _TO_POSTPROCESSING, name)
        if not self._decoupled:
            yield _arrays(request.exec())
            return
        responses = request.exec(decoupled=True)
        self._finished.append(responses)
        for response in responses:
            if response.has_error() or response.output_tensors():
                yield _arrays(response)

    def _stop(self, name: str) -> None:
        one = np.ones((1, 1), dtype=np.int32)
        inputs: Arrays = {
            "input_ids": one,
            "input_lengths": one,
            "request_output_len": one,
            "stop": np.ones((1, 1), dtype=np.bool_),
        }
        for _ in self._call_engine(name, inputs):
            pass


class Client:
    """Where the answer of one request goes."""

    def __init__(self, sender: Any) -> None:
        self._sender = sender
        self._open = True
        self._present = True
        self._asked = time.monotonic()

    def send(self, response: Any, final: bool) -> None:
        """Send ``response``, or only the end of the stream if it is None."""
        if not self._open:
            return
        self._open = not final
        if response is None:
            self._sender.send(flags=FINAL)
        else:
            self._sender.send(response, flags=FINAL if final else 0)

    def has_gone(self) -> bool:
        """Whether the client has gone away since the last call.

        Triton is asked now and then only, and never after the last response: it crashes on that.
        """
        now = time.monotonic()
        if not (self._open and self._present) or now - self._asked < CANCEL_CHECK_S:
            return False
        self._asked = now
        self._present = not self._sender.is_cancelled()
        return not self._present


class StreamedText:
    """Cuts the text of a growing list of tokens into pieces that are whole characters.

    All tokens so far are decoded each time, since a tokenizer may write a token differently after
    another one, and a character may be spread over several.
    """

    def __init__(self, accumulate: bool) -> None:
        self._accumulate = accumulate
        self._tokens: npt.NDArray[np.int32] = np.zeros((1, 1, 0), dtype=np.int32)
        self._text = ""
        self._sent = 0

    def add(self, tokens: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """All tokens so far, with ``tokens`` added."""
        self._tokens = np.concatenate((self._tokens, tokens), axis=2)
        return self._tokens

    def piece(self, text: str) -> str:
        """What to send now that the tokens so far read ``text``."""
        self._text = text
        whole = text.rstrip(REPLACEMENT)
        start, self._sent = self._sent, max(self._sent, len(whole))
        return whole if self._accumulate else whole[start:]

    def held_back(self) -> bool:
        """Whether the text ends with what looks like a part of a character."""
        return self._sent < len(self._text)

    def rest(self) -> str:
        """What is held back, or with accumulation the whole text."""
        start, self._sent = self._sent, len(self._text)
        return self._text if self._accumulate else self._text[start:]


def _response(outputs: Arrays, text: StreamedText | None) -> Any:
    """The response for one of ``tensorrt_llm``; ``text`` is None if it is the only one."""
    if outputs["context_logits"].size == 1:
        # A ticket of the CPU backend may be in it; only the ensemble has a use for that.
        outputs["context_logits"] = np.zeros_like(outputs["context_logits"])
    if text is not None:
        length = int(outputs["sequence_length"].reshape(-1)[0])
        tokens = text.add(outputs["output_ids"][:, :, :length])
        outputs["output_ids"] = tokens
        outputs["sequence_length"] = np.array([[tokens.shape[2]]], dtype=np.int32)
    decoded = _call("postprocessing", _renamed(outputs, _TO_POSTPROCESSING), _FROM_POSTPROCESSING)
    if text is not None:
        piece = text.piece(decoded["OUTPUT"].reshape(-1)[0].decode("utf-8"))
        decoded["OUTPUT"] = np.array([piece.encode("utf-8")], dtype=np.object_)
    named = _renamed(decoded, _FROM_POSTPROCESSING)
    tensors = [pb_utils.Tensor(name, value) for name, value in named.items()]
    return pb_utils.InferenceResponse(output_tensors=tensors)


def _text_response(text: str) -> Any:
    outputs = {
        "text_output": np.array([text.encode("utf-8")], dtype=np.object_),
        "cum_log_probs": np.zeros((1, 1), dtype=np.float32),
        "output_log_probs": np.zeros((1, 1, 0), dtype=np.float32),
        "context_logits": np.zeros((1, 1, 1), dtype=np.float32),
        "generation_logits": np.zeros((1, 1, 1, 1), dtype=np.float32),
    }
    tensors = [pb_utils.Tensor(name, value) for name, value in outputs.items()]
    return pb_utils.InferenceResponse(output_tensors=tensors)


def _renamed(arrays: Arrays, names: dict[str, str]) -> Arrays:
    return {names[name]: array for name, array in arrays.items() if name in names}


def _request(model: str, inputs: Arrays, outputs: dict[str, str], name: str = "") -> Any:
    return pb_utils.InferenceRequest(
        model_name=model,
        request_id=name,
        requested_output_names=list(outputs),
        inputs=[pb_utils.Tensor(key, value) for key, value in inputs.items()],
    )


def _call(model: str, inputs: Arrays, outputs: dict[str, str]) -> Arrays:
    return _arrays(_request(model, inputs, outputs).exec())


def _arrays(response: Any) -> Arrays:
    if response.has_error():
        raise StepError(response.error().message())
    return {tensor.name(): tensor.as_numpy() for tensor in response.output_tensors()}


def _error(code: str, message: str) -> Any:
    error = pb_utils.TritonError(message, getattr(pb_utils.TritonError, code))
    return pb_utils.InferenceResponse(error=error)
