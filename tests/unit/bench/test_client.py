"""What is read of a stream, wherever it was cut."""

import asyncio
import itertools
import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.bench.client import FailedError, OpenAiAsker, Piece, TritonAsker, events
from roles.server.client import Served

TEXTS = [" Grüße", " 😀", "\n\n", ' "quoted"', " data: no event", "汉字", "a\u2028b\u2029c\x85d"]

INPUTS = frozenset({"text_input", "max_tokens", "temperature", "end_id", "stream"})


class Pieces(httpx.AsyncByteStream):
    def __init__(self, pieces, error=None):
        self.pieces = pieces
        self.error = error

    async def __aiter__(self):
        for piece in self.pieces:
            yield piece
        if self.error:
            raise self.error


def cut(data, places):
    ends = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(ends)]


def client(pieces, status=200, error=None, seen=None):
    def answer(request):
        if seen is not None:
            seen.append(request)
        return httpx.Response(status, stream=Pieces(pieces, error))

    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


def collect(iterate):
    async def all_of_it():
        return [one async for one in iterate]

    return asyncio.run(all_of_it())


def sse(*said):
    return b"".join(
        b"data: " + json.dumps(one, ensure_ascii=False).encode() + b"\n\n" for one in said
    )


@given(st.lists(st.integers(0, 10_000), max_size=30))
def test_events_are_the_same_wherever_the_stream_was_cut(places):
    data = sse(*({"text_output": text} for text in TEXTS))
    found = collect(events(client(cut(data, places)), "http://x/", {}, {}))
    assert [event["text_output"] for event in found] == TEXTS


def test_comments_and_other_fields_are_passed_over_and_done_is_no_event():
    data = b": alive\nevent: x\nid: 1\r\ndata:{}\r\n\r\n" + sse({"a": 1}) + b"data: [DONE]\n\n"
    assert collect(events(client([data]), "http://x/", {}, {})) == [{}, {"a": 1}]


@pytest.mark.parametrize(
    ("status", "pieces", "error", "said"),
    [
        (400, [b'{"error": "too long:   300"}'], None, "400 too long: 300"),
        (401, [b'{"error": {"message": "no key"}}'], None, "401 no key"),
        (502, [b"<html>bad\ngateway</html>"], None, "502 <html>bad gateway</html>"),
        (200, [b"data: {broken\n\n"], None, "an event that is no JSON"),
        (200, [b"data: {}\n\n"], httpx.ReadTimeout("x"), "no word for 120 s"),
        (200, [b"data: {}\n\n"], httpx.RemoteProtocolError("x"), "connection lost"),
        (200, [], httpx.ConnectError("x"), "connection refused"),
    ],
)
def test_each_failure_is_told_in_few_words(status, pieces, error, said):
    with pytest.raises(FailedError) as raised:
        collect(events(client(pieces, status, error), "http://x/", {}, {}))
    assert str(raised.value).startswith(said)


def triton(answers, inputs=INPUTS, seen=None):
    asker = TritonAsker("http://x", Served("ensemble", inputs, decoupled=True))
    return collect(asker.stream(client([sse(*answers)], seen=seen), "Hello", 7, 1))


def test_triton_is_asked_for_the_full_length_and_counts_tokens_that_have_no_text():
    seen = []
    answers = [
        {"text_output": " a", "output_log_probs": 0.0},
        {"text_output": "😀", "output_log_probs": [0.0, 0.0, 0.0]},
        {"text_output": "", "output_log_probs": 0.0},
    ]
    pieces = triton(answers, seen=seen)
    assert pieces == [Piece(" a", None, 1), Piece("😀", None, 3), Piece("", None, 1)]
    body = json.loads(seen[0].content)
    assert body["max_tokens"] == 7 and body["end_id"] == -1 and body["stream"] is True
    assert seen[0].url.path == "/v2/models/ensemble/generate_stream"


def test_the_llm_api_repeats_itself_and_is_not_counted_twice():
    inputs = frozenset({"text_input", "sampling_param_max_tokens", "sampling_param_temperature"})
    pieces = triton([{"text_output": "one"}, {"text_output": "one two"}], inputs)
    assert [piece.text for piece in pieces] == ["one", " two"]


def test_an_error_in_the_stream_is_a_failure():
    with pytest.raises(FailedError, match="out of blocks"):
        triton([{"text_output": "one"}, {"error": "out of\nblocks"}])


@pytest.mark.parametrize("error", ["out of blocks", {"message": "out of blocks"}])
def test_an_error_in_the_stream_of_openai_is_a_failure(error):
    asker = OpenAiAsker("http://x/v1", "m")
    with pytest.raises(FailedError, match=r"^out of blocks$"):
        collect(asker.stream(client([sse({"error": error})]), "Hello", 7, 1))


def test_openai_says_how_many_tokens_there_were_and_gets_its_key():
    seen = []
    said = [
        {"choices": [{"text": " a"}], "usage": None},
        {"choices": [], "usage": {"completion_tokens": 7}},
    ]
    asker = OpenAiAsker("http://x/v1", "m", "a-secret")
    asked = asker.stream(client([sse(*said), b"data: [DONE]\n\n"], seen=seen), "Hello", 7, 1)
    assert collect(asked) == [Piece(" a", None), Piece("", 7)]
    assert seen[0].headers["Authorization"] == "Bearer a-secret"
    assert json.loads(seen[0].content)["ignore_eos"] is True
    assert "a-secret" not in repr(asker)
