"""Text to token ids: the first model of the ensemble.

Tensor names and meaning follow tensorrtllm_backend at da59830; the tokenizer is a
``tokenizer.json``, read by the ``tokenizers`` library alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils
from tokenizers import Tokenizer

from .orphan import end_with_parent

_TRUE = frozenset({"true", "1", "t", "y", "yes"})


class RequestError(Exception):
    """The request cannot be tokenized; the text is for the client."""


@dataclass(frozen=True)
class Encoder:
    """A tokenizer together with the defaults that belong to it."""

    tokenizer: Tokenizer
    end_id: int
    pad_id: int
    add_special_tokens: bool

    def prompt(self, text: str) -> npt.NDArray[np.int32]:
        """The ids of a prompt, of shape (1, n)."""
        encoding = self.tokenizer.encode(text, add_special_tokens=self.add_special_tokens)
        return np.array([encoding.ids], dtype=np.int32)

    def ids(self, text: str) -> list[int]:
        """The ids of a text that is no prompt."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def words(self, words: list[str]) -> npt.NDArray[np.int32]:
        """Stop or bad words as TensorRT-LLM takes them, of shape (1, 2, n).

        Row 0: the ids of all words; row 1: the end offset of each, padded with -1. Each word is
        given with a space before it too: within a text it is another token then.
        """
        flat: list[int] = []
        ends: list[int] = []
        for word in words:
            for form in dict.fromkeys((word, word if word[:1].isspace() else f" {word}")):
                ids = self.ids(form) if word else []
                if ids:
                    flat.extend(ids)
                    ends.append(len(flat))
        if not flat:
            return np.zeros((1, 2, 0), dtype=np.int32)
        ends.extend([-1] * (len(flat) - len(ends)))
        return np.array([[flat, ends]], dtype=np.int32)

    def bias(self, words: list[str], weights: list[float]) -> npt.NDArray[np.float32]:
        """What is added to the logits of the tokens of ``words``, of shape (1, vocabulary)."""
        if not words:
            return np.zeros((1, 0), dtype=np.float32)
        if len(words) != len(weights):
            raise RequestError(
                f"{len(words)} embedding_bias_words, but {len(weights)} embedding_bias_weights"
            )
        bias = np.zeros((1, self.tokenizer.get_vocab_size()), dtype=np.float32)
        for word, weight in zip(words, weights, strict=True):
            for index in self.ids(word):
                bias[0, index] += weight
        return bias


def load_encoder(directory: Path, add_special_tokens: bool) -> Encoder:
    """Read ``tokenizer.json`` and, for the end and padding tokens, ``tokenizer_config.json``."""
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    config = json.loads((directory / "tokenizer_config.json").read_text(encoding="utf-8"))

    def token_id(name: str) -> int | None:
        token = config.get(name)
        content = token["content"] if isinstance(token, dict) else token
        return None if content is None else tokenizer.token_to_id(content)

    end_id = token_id("eos_token")
    if end_id is None:
        raise ValueError(f"{directory}: tokenizer_config.json names no eos_token of the tokenizer")
    pad_id = token_id("pad_token")
    return Encoder(tokenizer, end_id, end_id if pad_id is None else pad_id, add_special_tokens)


class TritonPythonModel:
    """What Triton's python backend calls."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the tokenizer that the configuration names."""
        end_with_parent()
        parameters = json.loads(args["model_config"])["parameters"]
        directory = Path(parameters["tokenizer_dir"]["string_value"])
        special = parameters.get("add_special_tokens", {}).get("string_value", "")
        try:
            self._encoder = load_encoder(directory, special.lower() in _TRUE)
        except Exception as error:  # tokenizers raises Exception itself
            raise pb_utils.TritonModelException(f"tokenizer_dir {directory}: {error}") from error

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request with its tensors or with an error of its own."""
        return [self._respond(request) for request in requests]

    def _respond(self, request: Any) -> Any:
        try:
            return pb_utils.InferenceResponse(output_tensors=self._tensors(request))
        except RequestError as error:
            code = pb_utils.TritonError.INVALID_ARG
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), code))

    def _tensors(self, request: Any) -> list[Any]:
        inputs = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
        if inputs["QUERY"].size != 1:
            raise RequestError("inflight batching takes requests with a batch size of 1 only")
        encoder = self._encoder
        prompt = encoder.prompt(_texts(inputs, "QUERY")[0])
        weights = inputs.get("EMBEDDING_BIAS_WEIGHTS")
        bias = encoder.bias(
            _texts(inputs, "EMBEDDING_BIAS_WORDS"),
            [] if weights is None else weights.reshape(-1).tolist(),
        )
        outputs = {
            "INPUT_ID": prompt,
            "REQUEST_INPUT_LEN": np.array([[prompt.shape[1]]], dtype=np.int32),
            "BAD_WORDS_IDS": encoder.words(_texts(inputs, "BAD_WORDS_DICT")),
            "STOP_WORDS_IDS": encoder.words(_texts(inputs, "STOP_WORDS_DICT")),
            "EMBEDDING_BIAS": bias,
            "REQUEST_OUTPUT_LEN": inputs["REQUEST_OUTPUT_LEN"],
            "OUT_END_ID": inputs.get("END_ID", np.array([[encoder.end_id]], dtype=np.int32)),
            "OUT_PAD_ID": inputs.get("PAD_ID", np.array([[encoder.pad_id]], dtype=np.int32)),
        }
        return [pb_utils.Tensor(name, value) for name, value in outputs.items()]


def _texts(inputs: dict[str, npt.NDArray[Any]], name: str) -> list[str]:
    array = inputs.get(name)
    if array is None:
        return []
    try:
        return [item.decode("utf-8") for item in array.reshape(-1).tolist()]
    except UnicodeDecodeError as error:
        raise RequestError(f"{name} is not UTF-8: {error.reason}") from None
