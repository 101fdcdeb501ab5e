"""Prompts of a given length that have no beginning in common, and the lengths of answers."""

from __future__ import annotations

import random
from typing import Any, Protocol

_WORDS = """
time year people way day man thing woman life child world school state family student group
country problem hand part place case week company system program question work government
number night point home water room mother area money story fact month lot right study book
eye job word business issue side kind head house service friend father power hour game line
end member law car city community name president team minute idea kid body information back
parent face others level office door health person art war history party result change
morning reason research girl guy moment air teacher force education
"""

#: Common words, which most tokenizers hold as one token with the blank in front of them.
WORDS = tuple(_WORDS.split())


class Lengths(Protocol):
    """Counts tokens."""

    @property
    def unit(self) -> str:
        """What is counted."""

    def of(self, text: str) -> int:
        """How many are in a text."""


class Tokens:
    """Counts with the served model's own tokenizer."""

    unit = "tokens"

    def __init__(self, tokenizer_json: str) -> None:
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_str(tokenizer_json)

    def of(self, text: str) -> int:
        """Tokens of a text, without the special ones that a tokenizer may add."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


class Words:
    """Counts words, where the tokenizer cannot be had."""

    unit = "words"

    def of(self, text: str) -> int:
        """Words of a text."""
        return len(text.split())


def prompt(lengths: Lengths, size: int, seed: int, number: int) -> str:
    """The prompt of a request: words by chance, as many as make ``size`` tokens.

    A word that would make it too long is passed over for another; where none fits (no tokenizer
    is known of which that is so), it stays a little shorter.
    """
    source = random.Random(f"prompt {seed} {number}")
    text = source.choice(WORDS).capitalize()
    while (missing := size - lengths.of(text)) > 0:
        added = " ".join(source.choice(WORDS) for _ in range(max(1, missing // 2)))
        longer = f"{text} {added}"
        if lengths.of(longer) > size:
            fitting = (f"{text} {word}" for word in source.sample(WORDS, len(WORDS)))
            longer = next((one for one in fitting if lengths.of(one) <= size), "")
        if not longer:
            break
        text = longer
    return text
