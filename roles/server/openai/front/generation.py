"""One sequence: from a prompt to pieces of text, until it ends."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from .errors import invalid
from .requests import Asked
from .served import Number, Served
from .stops import StopText
from .triton import Triton
from .vocabulary import Decoding, Vocabulary

_REPLACEMENT = "\ufffd"

#: No token: it never comes, so it never ends an answer.
_NEVER = -1

Finish = Literal["stop", "length"]


@dataclass(frozen=True)
class Prompt:
    """A prompt as text and as the tokens that the model reads."""

    text: str
    ids: tuple[int, ...]


@dataclass(frozen=True)
class Piece:
    """A piece of an answer.

    Attributes:
        tokens: how many have been generated; known with the last piece.
        finish: why the answer ends with this piece; None: it goes on.
    """

    text: str
    tokens: int = 0
    finish: Finish | None = None


@dataclass(frozen=True)
class Job:
    """A sequence to be generated."""

    prompt: Prompt
    options: Mapping[str, Number]
    stop: tuple[str, ...]
    end_ids: frozenset[int]
    max_tokens: int


def job(
    asked: Asked, model: Served, vocabulary: Vocabulary, prompt: Prompt, max_tokens: int, index: int
) -> Job:
    """What is asked for, in the model's terms; ``index`` counts the answers to one prompt.

    Raises:
        ApiError: the model cannot be told something of it.
    """
    options: dict[str, Number] = {"max_tokens": max_tokens, **_sampling(asked, index)}
    usual = {"presence_penalty": 0.0, "frequency_penalty": 0.0, "repetition_penalty": 1.0}
    for name, nothing in {**usual, "min_tokens": 0}.items():
        if (value := getattr(asked, name)) != nothing:
            options[name] = value
    ends = vocabulary.end_ids
    if asked.ignore_eos and not model.takes_tokens:
        raise invalid("ignore_eos: the model cannot be told", "ignore_eos", "unsupported_parameter")
    if asked.min_tokens > max_tokens:
        raise invalid(
            f"min_tokens is {asked.min_tokens}, and the answer may have {max_tokens} tokens",
            "min_tokens",
            "invalid_value",
        )
    if unknown := model.unknown(options):
        raise invalid(
            f"{unknown[0]}: the model cannot be told", unknown[0], "unsupported_parameter"
        )
    if asked.ignore_eos or ends:
        options["end_id"] = _NEVER if asked.ignore_eos else ends[0]
    if vocabulary.pad_id is not None:
        options["pad_id"] = vocabulary.pad_id
    ending = frozenset(() if asked.ignore_eos else ends)
    return Job(prompt, options, asked.stop, ending, max_tokens)


def _sampling(asked: Asked, index: int) -> dict[str, Number]:
    """How the next token is chosen: with a seed always, since the model's own is ever the same."""
    if asked.temperature == 0 or asked.top_p == 0 or asked.top_k == 1:
        return {"top_k": 1}
    seed = secrets.randbits(63) if asked.seed is None else asked.seed + index
    chosen: dict[str, Number] = {
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "random_seed": seed & (2**63 - 1),
    }
    return {**chosen, "top_k": asked.top_k} if asked.top_k > 0 else chosen


async def generate(
    triton: Triton, model: Served, vocabulary: Vocabulary, wanted: Job
) -> AsyncGenerator[Piece, None]:
    """The pieces of one answer; the last says why it ends.

    Whoever stops reading closes it (``aclosing``), which ends the request in Triton. So does a
    stop word.
    """
    pieces = _from_tokens if model.takes_tokens else _from_text
    async with aclosing(pieces(triton, model, vocabulary, wanted)) as coming:
        async for piece in coming:
            yield piece


async def _from_tokens(
    triton: Triton, model: Served, vocabulary: Vocabulary, wanted: Job
) -> AsyncGenerator[Piece, None]:
    decoding = Decoding(vocabulary, wanted.prompt.ids)
    words = StopText(wanted.stop)
    count, ended = 0, False
    answer = triton.answer(model, wanted.prompt.ids, wanted.options, secrets.token_hex(8))
    async with aclosing(answer) as events:
        async for event in events:
            ids, ended = _until_end(model.tokens(event, wanted.prompt.ids), wanted.end_ids)
            count += len(ids)
            text = words.add(decoding.add(ids))
            if words.found:
                yield Piece(text, count, "stop")
                return
            if text:
                yield Piece(text)
            if ended:
                break
    text = words.add(decoding.rest())
    if words.found:
        yield Piece(text, count, "stop")
        return
    finish: Finish = "stop" if ended or count < wanted.max_tokens else "length"
    yield Piece(text + words.rest(), count, finish)


def _until_end(ids: Sequence[int], ends: frozenset[int]) -> tuple[list[int], bool]:
    """The ids in front of one that ends the answer, and whether there is one."""
    place = next((place for place, one in enumerate(ids) if one in ends), None)
    return (list(ids), False) if place is None else (list(ids[:place]), True)


async def _from_text(
    triton: Triton, model: Served, vocabulary: Vocabulary, wanted: Job
) -> AsyncGenerator[Piece, None]:
    """From a model that repeats in each piece all it has said, as the LLM API does."""
    words = StopText(wanted.stop)
    said, whole, reason = "", "", ""
    prompt = wanted.prompt.text.removeprefix(vocabulary.begins_itself)
    answer = triton.answer(model, prompt, wanted.options, secrets.token_hex(8))
    async with aclosing(answer) as events:
        async for event in events:
            whole, reason = _scalar(event, "text_output"), _scalar(event, "finish_reason")
            new = whole.rstrip(_REPLACEMENT)
            text = words.add(new.removeprefix(said))
            said = new if new.startswith(said) else said
            if words.found:
                yield Piece(text, _count(vocabulary, said), "stop")
                return
            if text:
                yield Piece(text)
    text = words.add(whole.removeprefix(said))
    count = _count(vocabulary, whole)
    if words.found:
        yield Piece(text, count, "stop")
        return
    known: Mapping[str, Finish] = {"stop": "stop", "length": "length"}
    counted: Finish = "length" if count >= wanted.max_tokens else "stop"
    yield Piece(text + words.rest(), count, known.get(reason, counted))


def _count(vocabulary: Vocabulary, text: str) -> int:
    return len(vocabulary.encode(text, special=False))


def _scalar(event: Mapping[str, object], name: str) -> str:
    """A text of an answer; a model with several sequences lists them, and one was asked for."""
    value = event.get(name, "")
    if isinstance(value, list):
        value = value[0] if value else ""
    return str(value)
