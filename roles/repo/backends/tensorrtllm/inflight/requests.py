"""One generation request: read from its tensors, checked, and bounded by the engine's limits.

Tensor names, defaults and meaning follow tensorrtllm_backend at da59830; where that leaves a value
out, the defaults are those of TensorRT-LLM 0.8: greedy, no penalty, no end token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import RequestError
from .settings import EngineLimits, Settings
from .word_lists import Word, unpack

Tensors = Mapping[str, npt.NDArray[Any]]

_UNSUPPORTED_FLAGS = ("return_context_logits", "return_generation_logits")
_UNSUPPORTED_TENSORS = (
    "draft_input_ids",
    "prompt_embedding_table",
    "lora_task_id",
    "lora_weights",
    "lora_config",
)
_MAX_PENALTY = 2.0
_MAX_SEED = 2**64 - 1


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. Greedy if ``sample`` is false and ``beams`` is 1.

    ``top_k`` 0 means all tokens. ``seed`` makes a sampled answer reproducible.
    """

    sample: bool = False
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    min_tokens: int = 0
    beams: int = 1
    length_penalty: float = 0.0


@dataclass(frozen=True)
class Generation:
    """A checked request. ``end_id`` None: generation goes on to ``max_tokens``."""

    input_ids: tuple[int, ...]
    max_tokens: int
    end_id: int | None
    pad_id: int
    stop_words: tuple[Word, ...]
    bad_words: tuple[Word, ...]
    sampling: Sampling
    streaming: bool
    log_probs: bool


def wants_stop(tensors: Tensors) -> bool:
    """Whether this is not a request of its own but asks to end the one with the same id."""
    return bool(_scalar(tensors, "stop", False))


def read_request(tensors: Tensors, settings: Settings) -> Generation:
    """Check ``tensors`` against the engine. Raises ``RequestError`` with a text for the client."""
    for name, array in tensors.items():
        if name in ("input_ids", "request_output_len") and array.shape[:1] != (1,):
            raise RequestError("inflight batching takes requests with a batch size of 1 only")
    _refuse_unsupported(tensors)
    limits = settings.limits
    input_ids = _prompt(tensors, limits)
    max_tokens = int(_scalar(tensors, "request_output_len", 0))
    if max_tokens < 1:
        raise RequestError(f"request_output_len (max_tokens) must be at least 1, not {max_tokens}")
    if len(input_ids) + max_tokens > limits.max_seq_len:
        raise RequestError(
            f"{len(input_ids)} prompt tokens and {max_tokens} output tokens are more than the "
            f"engine's max_seq_len {limits.max_seq_len}"
        )
    streaming = bool(_scalar(tensors, "streaming", False))
    if streaming and not settings.decoupled:
        raise RequestError("streaming is only possible if the model is deployed in decoupled mode")
    sampling = _sampling(tensors, settings.max_beam_width, max_tokens)
    if streaming and sampling.beams > 1:
        raise RequestError("streaming is only possible with a beam_width of 1")
    bad_words = _words(tensors, "bad_words_list", limits.vocabulary)
    if bad_words and sampling.beams > 1:
        raise RequestError("bad_words are only possible with a beam_width of 1")
    end_id = int(_scalar(tensors, "end_id", -1))
    return Generation(
        input_ids=input_ids,
        max_tokens=max_tokens,
        end_id=end_id if 0 <= end_id < limits.vocabulary else None,
        pad_id=int(_scalar(tensors, "pad_id", 0)),
        stop_words=_words(tensors, "stop_words_list", limits.vocabulary),
        bad_words=bad_words,
        sampling=sampling,
        streaming=streaming,
        log_probs=bool(_scalar(tensors, "return_log_probs", False)),
    )


def _prompt(tensors: Tensors, limits: EngineLimits) -> tuple[int, ...]:
    input_ids = tuple(tensors["input_ids"].reshape(-1).tolist())
    length = int(_scalar(tensors, "input_lengths", len(input_ids)))
    if not 0 <= length <= len(input_ids):
        raise RequestError(f"input_lengths {length} does not fit {len(input_ids)} input_ids")
    input_ids = input_ids[:length]
    if not input_ids:
        raise RequestError("the prompt is empty: there is nothing to continue")
    _check_ids("input_ids", input_ids, limits.vocabulary)
    if len(input_ids) > limits.max_input_len:
        raise RequestError(
            f"the prompt has {len(input_ids)} tokens, the engine's max_input_len is "
            f"{limits.max_input_len}"
        )
    return input_ids


def _sampling(tensors: Tensors, max_beams: int, max_tokens: int) -> Sampling:
    beams = int(_scalar(tensors, "beam_width", 1))
    if not 1 <= beams <= max_beams:
        raise RequestError(f"beam_width {beams} is outside of 1 to {max_beams} (max_beam_width)")
    temperature = _number(tensors, "temperature", 1.0, least=0.0)
    top_k = int(_scalar(tensors, "runtime_top_k", 0))
    if top_k < 0:
        raise RequestError(f"runtime_top_k {top_k} is negative")
    top_p = _number(tensors, "runtime_top_p", 0.0, least=0.0, most=1.0)
    min_tokens = int(_scalar(tensors, "min_length", 0))
    if not 0 <= min_tokens <= max_tokens:
        raise RequestError(f"min_length {min_tokens} is outside of 0 to {max_tokens} (max_tokens)")
    repetition = _number(tensors, "repetition_penalty", 1.0, least=0.0)
    if repetition == 0.0:
        raise RequestError("repetition_penalty must be above 0")
    presence = _number(tensors, "presence_penalty", 0.0, -_MAX_PENALTY, _MAX_PENALTY)
    frequency = _number(tensors, "frequency_penalty", 0.0, -_MAX_PENALTY, _MAX_PENALTY)
    if beams > 1 and (repetition, presence, frequency) != (1.0, 0.0, 0.0):
        raise RequestError("penalties are only possible with a beam_width of 1")
    # As in TensorRT-LLM: neither top_k nor top_p given means top_k 1.
    sample = beams == 1 and temperature > 0.0 and (top_k > 1 or (top_k == 0 and top_p > 0.0))
    return Sampling(
        sample=sample,
        temperature=temperature if sample else 1.0,
        top_k=top_k if sample else 0,
        top_p=top_p if sample and top_p > 0.0 else 1.0,
        seed=min(int(_scalar(tensors, "random_seed", 0)), _MAX_SEED),
        repetition_penalty=repetition,
        presence_penalty=presence,
        frequency_penalty=frequency,
        min_tokens=min_tokens,
        beams=beams,
        length_penalty=_number(tensors, "len_penalty", 0.0),
    )


def _refuse_unsupported(tensors: Tensors) -> None:
    for name in _UNSUPPORTED_FLAGS:
        if _scalar(tensors, name, False):
            raise RequestError(f"{name} is not available with this engine")
    for name in _UNSUPPORTED_TENSORS:
        if name in tensors and tensors[name].size:
            raise RequestError(f"{name} is not available with this engine")
    bias = tensors.get("embedding_bias")
    if bias is not None and bias.size and np.any(bias):
        raise RequestError("embedding_bias is not available with this engine")


def _words(tensors: Tensors, name: str, vocabulary: int) -> tuple[Word, ...]:
    array = tensors.get(name)
    if array is None or not array.size:
        return ()
    words = unpack(name, array)
    for word in words:
        _check_ids(name, word, vocabulary)
    return tuple(words)


def _check_ids(name: str, ids: tuple[int, ...], vocabulary: int) -> None:
    worst = next((i for i in ids if not 0 <= i < vocabulary), None)
    if worst is not None:
        raise RequestError(f"{name}: {worst} is not a token id (0 to {vocabulary - 1})")


def _scalar(tensors: Tensors, name: str, default: Any) -> Any:
    array = tensors.get(name)
    if array is None or not array.size:
        return default
    if array.size != 1:
        raise RequestError(f"{name} must be a single value, not of shape {list(array.shape)}")
    return array.reshape(-1)[0].item()


def _number(
    tensors: Tensors,
    name: str,
    default: float,
    least: float = -np.inf,
    most: float = np.inf,
) -> float:
    value = float(_scalar(tensors, name, default))
    if not np.isfinite(value) or not least <= value <= most:
        raise RequestError(f"{name} {value} is outside of {least} to {most}")
    return value
