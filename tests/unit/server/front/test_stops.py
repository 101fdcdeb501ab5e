"""Text that is passed on up to a stop word, however it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.server.openai.front.stops import StopText

TEXTS = st.text("ab c", max_size=24)


def passed_on(pieces: list[str], words: list[str]) -> tuple[str, bool]:
    stop = StopText(words)
    said = ""
    for piece in pieces:
        said += stop.add(piece)
        if stop.found:
            return said, True
    return said + stop.rest(), False


@pytest.mark.parametrize(
    ("pieces", "words", "said"),
    [
        (["one two three"], ["two"], "one "),
        (["one t", "w", "o three"], ["two"], "one "),
        (["one t", "w", "in"], ["two"], "one twin"),
        (["abab", "c"], ["abc"], "ab"),
        (["one two three"], ["three", "two"], "one "),
        (["two"], ["two"], ""),
        (["one"], [], "one"),
    ],
)
def test_it_ends_in_front_of_the_first_word(pieces: list[str], words: list[str], said: str) -> None:
    assert passed_on(pieces, words)[0] == said


def test_only_what_may_begin_a_word_is_held_back() -> None:
    stop = StopText(["STOP"])
    assert stop.add("go S") == "go "
    assert stop.add("o on") == "So on"
    assert stop.add("ST") == ""
    assert stop.rest() == "ST"


@given(st.lists(TEXTS, max_size=6), st.lists(st.text("ab c", min_size=1, max_size=4), max_size=3))
def test_how_the_text_is_cut_changes_nothing(pieces: list[str], words: list[str]) -> None:
    whole = "".join(pieces)
    said, found = passed_on(pieces, words)
    places = [whole.index(word) for word in words if word in whole]
    assert found == bool(places)
    if not found:
        assert said == whole
    else:
        # Cut early, a word that ends first is found first, though another began before it.
        assert whole.startswith(said) and any(whole[len(said) :].startswith(word) for word in words)
        assert passed_on([whole], words)[0] == whole[: min(places)]
        assert not any(word in said for word in words)
