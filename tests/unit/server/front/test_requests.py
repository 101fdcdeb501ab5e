"""Requests that are wrong are told what is wrong, in the words of JSON."""

from __future__ import annotations

from typing import Any

import pytest

from roles.server.openai.front.errors import ApiError
from roles.server.openai.front.requests import ChatRequest, CompletionRequest, parse

TURN = {"role": "user", "content": "Hi"}


def refusal(kind: type[ChatRequest] | type[CompletionRequest], **said: Any) -> ApiError:
    with pytest.raises(ApiError) as refused:
        parse(kind, {"model": "m", **said})
    assert refused.value.status == 400
    return refused.value


@pytest.mark.parametrize("kind", [["text"], {}, 3, None])
def test_a_part_of_a_kind_that_is_no_word_is_refused(kind: Any) -> None:
    part = {"type": kind, "text": "Hi"}
    error = refusal(ChatRequest, messages=[{"role": "user", "content": [part]}])
    assert error.code == "unsupported_parameter"
    assert "content can only be text" in error.message


@pytest.mark.parametrize(
    ("said", "param", "words"),
    [
        ({"messages": "Hi"}, "messages", "Input should be an array"),
        ({"messages": []}, "messages", "Input should have at least one item"),
        ({"messages": ["Hi"]}, "messages[0]", "Input should be an object"),
        (
            {"messages": [TURN], "chat_template_kwargs": "x"},
            "chat_template_kwargs",
            "Input should be an object",
        ),
        ({"messages": [TURN], "top_k": 2**31}, "top_k", "less than or equal to 2147483647"),
        ({"messages": [TURN], "min_tokens": 10**20}, "min_tokens", "less than or equal to"),
        ({"messages": [TURN], "repetition_penalty": float("inf")}, "repetition_penalty", "finite"),
        (
            {"messages": [TURN], "chat_template_kwargs": {"messages": [1]}},
            "chat_template_kwargs",
            "a parameter of their own",
        ),
    ],
)
def test_a_value_that_cannot_be_used_is_told_in_the_words_of_json(
    said: dict[str, Any], param: str, words: str
) -> None:
    error = refusal(ChatRequest, **said)
    assert (error.param, error.code) == (param, "invalid_value")
    assert words in error.message
