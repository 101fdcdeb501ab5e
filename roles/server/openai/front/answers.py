"""The objects of OpenAI's API that the front answers with. Pure functions.

Shapes: OpenAI API reference, "The chat completion object", "The chat completion chunk object",
"The completion object", "The model object".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Answered:
    """One answer, whole."""

    text: str
    finish: str
    tokens: int


@dataclass(frozen=True)
class Form:
    """How the answers to one request are written: the same id, time and model in each piece.

    Attributes:
        chat: whether it is a chat completion.
    """

    id: str
    created: int
    model: str
    chat: bool

    def whole(self, answers: Sequence[Answered], usage: Json) -> Json:
        """The answer in one piece."""
        choices = [self._choice(index, one) for index, one in enumerate(answers)]
        kind = "chat.completion" if self.chat else "text_completion"
        return {**self._head(kind), "choices": choices, "usage": usage}

    def _choice(self, index: int, answer: Answered) -> Json:
        end = {"logprobs": None, "finish_reason": answer.finish}
        if not self.chat:
            return {"index": index, "text": answer.text, **end}
        message = {"role": "assistant", "content": answer.text, "refusal": None}
        return {"index": index, "message": message, **end}

    def begin(self, index: int) -> Json:
        """The first chunk of a chat completion, which says who speaks."""
        return self._chunk(index, {"role": "assistant", "content": ""}, None)

    def chunk(self, index: int, text: str, finish: str | None = None) -> Json:
        """A chunk of an answer."""
        if self.chat:
            return self._chunk(index, {"content": text} if text else {}, finish)
        choice = {"index": index, "text": text, "logprobs": None, "finish_reason": finish}
        return {**self._head("text_completion"), "choices": [choice]}

    def last(self, usage: Json) -> Json:
        """The chunk after the last, with the usage."""
        kind = "chat.completion.chunk" if self.chat else "text_completion"
        return {**self._head(kind), "choices": [], "usage": usage}

    def _chunk(self, index: int, delta: Json, finish: str | None) -> Json:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _head(self, kind: str) -> Json:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def usage(prompt: int, completion: int) -> Json:
    """How many tokens there were."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def model(name: str, created: int, limit: int) -> Json:
    """The model; ``max_model_len``, as other servers say it, where it is known."""
    known = {"max_model_len": limit} if limit else {}
    return {"id": name, "object": "model", "created": created, "owned_by": "rolecall", **known}
