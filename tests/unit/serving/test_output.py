"""Where an answer ends, and what of it may be sent when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inflight.output import Outbox, StopCondition, Tokens
from inflight.vocabulary import Vocabulary, byte_of_character, incomplete_tail

BYTES = Vocabulary(text=tuple(bytes([value]) for value in range(256)), special=frozenset())


def stops_after(words: tuple[bytes, ...], text: bytes) -> int | None:
    condition = StopCondition(end_ids=frozenset(), stop_words=words, vocabulary=BYTES)
    for position, byte in enumerate(text):
        if condition.completes(byte):
            return position + 1
    return None


@pytest.mark.parametrize(
    ("words", "text", "end"),
    [
        ((b"ab",), b"xxabxx", 4),
        ((b"ab",), b"aab", 3),
        ((b"abc", b"b"), b"abc", 2),
        ((b"ab",), b"acb", None),
        ((), b"abc", None),
    ],
)
def test_an_answer_ends_with_the_first_stop_word(
    words: tuple[bytes, ...], text: bytes, end: int | None
) -> None:
    assert stops_after(words, text) == end


def test_an_end_token_is_recognised() -> None:
    condition = StopCondition(frozenset({2}), (), BYTES)
    assert condition.is_end(2)
    assert not condition.is_end(3)


@given(st.text(), st.data())
def test_messages_are_whole_characters_and_lose_nothing(text: str, data: st.DataObject) -> None:
    encoded = text.encode()
    outbox = Outbox(BYTES)
    messages: list[bytes] = []
    rest = encoded
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        message = outbox.put(Tokens(tuple(rest[:size]), (0.0,) * size))
        messages.append(bytes(message.ids))
        rest = rest[size:]
    messages.append(bytes(outbox.flush().ids))
    assert "".join(message.decode() for message in messages) == text
    assert messages[-1] == b""


@given(st.binary())
def test_pieces_of_broken_text_read_as_the_whole_does(data: bytes) -> None:
    outbox = Outbox(BYTES)
    pieces = [bytes(outbox.put(Tokens((byte,), (0.0,))).ids) for byte in data]
    pieces.append(bytes(outbox.flush().ids))
    joined = "".join(piece.decode("utf-8", "replace") for piece in pieces)
    assert joined == data.decode("utf-8", "replace")


def test_a_special_token_within_a_character_does_not_break_it() -> None:
    vocabulary = Vocabulary((b"\xc3", b"<s>", b"\xa9"), frozenset({1}))
    outbox = Outbox(vocabulary)
    assert outbox.put(Tokens((0,), (0.0,))).ids == ()
    assert outbox.put(Tokens((1,), (0.0,))).ids == ()
    assert outbox.put(Tokens((2,), (0.0,))).ids == (0, 1, 2)


@pytest.mark.parametrize(
    ("data", "length"),
    [(b"", 0), (b"a", 0), (b"\xc3", 1), (b"\xc3\xa9", 0), (b"\xe2\x82", 2), (b"\xf0\x9f\x98", 3)],
)
def test_incomplete_tail(data: bytes, length: int) -> None:
    assert incomplete_tail(data) == length


def test_every_byte_has_a_character_of_its_own() -> None:
    assert sorted(byte_of_character().values()) == list(range(256))
