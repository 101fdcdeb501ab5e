"""Text that ends where one of some words begins."""

from __future__ import annotations

from collections.abc import Sequence


class StopText:
    """Passes text on piece by piece, up to the first of the words, which is left out.

    What may still turn out to be the beginning of a word is held back.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)
        self._held = ""
        self.found = False

    def add(self, text: str) -> str:
        """What can be passed on now. Sets :attr:`found` when it ends here."""
        text = self._held + text
        places = [place for word in self._words if (place := text.find(word)) >= 0]
        if places:
            self.found, self._held = True, ""
            return text[: min(places)]
        held = self._beginning(text)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def rest(self) -> str:
        """What is still held back, now that no more comes."""
        text, self._held = self._held, ""
        return text

    def _beginning(self, text: str) -> int:
        """How many characters at the end of ``text`` a word begins with."""
        longest = max(map(len, self._words), default=0) - 1
        for length in range(min(longest, len(text)), 0, -1):
            end = text[-length:]
            if any(word.startswith(end) for word in self._words):
                return length
        return 0
