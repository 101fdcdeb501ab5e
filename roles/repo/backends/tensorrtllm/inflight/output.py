"""What becomes of generated tokens on their way out: where to stop, and what to send when."""

from __future__ import annotations

from dataclasses import dataclass, field

from .vocabulary import Vocabulary, incomplete_tail


@dataclass(frozen=True)
class Tokens:
    """Tokens in order, with the natural logarithm of the probability of each."""

    ids: tuple[int, ...] = ()
    log_probs: tuple[float, ...] = ()

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.ids + other.ids, self.log_probs + other.log_probs)


@dataclass
class StopCondition:
    """Tells after each token whether the answer is complete.

    A stop word ends the answer when the produced text, special tokens spelled out, ends with it at
    the end of a token; the word stays in the answer, as in TensorRT-LLM. Comparing text rather
    than token ids makes "computer science" stop " computer science" too. ``end_ids`` end the
    answer and are no part of it.
    """

    end_ids: frozenset[int]
    stop_words: tuple[bytes, ...]
    vocabulary: Vocabulary
    _tail: bytes = b""
    _keep: int = field(init=False)

    def __post_init__(self) -> None:
        self._keep = max((len(word) for word in self.stop_words), default=0)

    def is_end(self, token: int) -> bool:
        """Whether ``token`` ends the answer without being a part of it."""
        return token in self.end_ids

    def completes(self, token: int) -> bool:
        """Take ``token`` as a part of the answer; whether it completes a stop word."""
        if not self.stop_words:
            return False
        text = self._tail + self.vocabulary.text[token]
        self._tail = text[-self._keep :]
        return text.endswith(self.stop_words)


@dataclass
class Outbox:
    """Holds tokens back while they end within a character.

    A reader that turns every message into text on its own would otherwise get a broken character
    in two messages. Of text made of whole characters nothing is ever held back.
    """

    vocabulary: Vocabulary
    _held: Tokens = field(default_factory=Tokens)
    _open: bytes = b""

    def put(self, tokens: Tokens) -> Tokens:
        """Add ``tokens``; what may be sent now, perhaps nothing."""
        self._held += tokens
        for token in tokens.ids:
            self._open += self.vocabulary.visible(token)
            tail = incomplete_tail(self._open)
            self._open = self._open[len(self._open) - tail :] if tail else b""
        return Tokens() if self._open else self.flush()

    def flush(self) -> Tokens:
        """Everything that is still held back."""
        held, self._held, self._open = self._held, Tokens(), b""
        return held
