"""The grammar accepts exactly the texts without the words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inflight.bad_words import MAX_CHARACTERS, without_words
from inflight.errors import RequestError

WORD = st.text(alphabet="abé", min_size=1, max_size=4)


def accepts(grammar: str, text: str) -> bool:
    """Whether the grammar, which is right-linear, derives ``text``."""
    rules: dict[str, list[tuple[list[tuple[int, int]], str]]] = {}
    for line in grammar.splitlines()[1:]:
        name, body = line.split(" ::= ")
        rules[name] = []
        for alternative in body.split(" | ")[1:]:
            characters, target = alternative.split(" ")
            rules[name].append((_ranges(characters), target))
    state = "s0"
    for character in text:
        code = ord(character)
        targets = [t for ranges, t in rules[state] if any(a <= code <= b for a, b in ranges)]
        assert len(targets) <= 1
        if not targets:
            return False
        state = targets[0]
    return True


def _ranges(characters: str) -> list[tuple[int, int]]:
    one = r"\\u([0-9a-f]{4})|\\U([0-9a-f]{8})"
    found = re.findall(rf"(?:{one})(?:-(?:{one}))?", characters)
    ranges = []
    for low4, low8, high4, high8 in found:
        low = int(low4 or low8, 16)
        ranges.append((low, int(high4 or high8 or f"{low:x}", 16)))
    return ranges


@given(st.lists(WORD, min_size=1, max_size=4), st.text(alphabet="abéc\U0001f600", max_size=12))
def test_the_grammar_is_the_complement_of_the_words(words: list[str], text: str) -> None:
    assert accepts(without_words(words), text) == (not any(word in text for word in words))


def test_too_many_words_are_refused() -> None:
    with pytest.raises(RequestError, match="bad words"):
        without_words(["x" * 30 + str(number) for number in range(MAX_CHARACTERS // 30 + 1)])


def test_words_that_contain_another_cost_nothing() -> None:
    assert without_words(["ab", "cab", " ab"]) == without_words(["ab"])
