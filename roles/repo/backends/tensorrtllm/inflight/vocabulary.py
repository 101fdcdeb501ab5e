"""The bytes that each token stands for, from a byte-level BPE ``tokenizer.json``.

The engine compares stop and bad words with the produced text, byte for byte, and must know
where a character is complete. Decoding token by token would not do: a character of several bytes
may be spread over several tokens.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Vocabulary:
    """``text[i]`` are the bytes of token ``i``; ``special`` are tokens that a reader never sees."""

    text: tuple[bytes, ...]
    special: frozenset[int]

    def spell(self, tokens: tuple[int, ...] | list[int]) -> bytes:
        """The bytes of ``tokens`` together; special tokens are spelled out."""
        return b"".join(self.text[token] for token in tokens)

    def visible(self, token: int) -> bytes:
        """The bytes of ``token`` as a reader sees them: none for a special token."""
        return b"" if token in self.special else self.text[token]


def load_vocabulary(path: Path) -> Vocabulary:
    """Read a ``tokenizer.json`` of the ``tokenizers`` library, byte-level BPE."""
    document = json.loads(path.read_text(encoding="utf-8"))
    ids: dict[str, int] = document["model"]["vocab"]
    added = {entry["id"]: entry for entry in document["added_tokens"]}
    size = 1 + max([*ids.values(), *added])
    alphabet = byte_of_character()
    text = [b""] * size
    for token, index in ids.items():
        text[index] = bytes(alphabet[character] for character in token if character in alphabet)
    for index, entry in added.items():
        text[index] = entry["content"].encode("utf-8")
    special = frozenset(index for index, entry in added.items() if entry["special"])
    return Vocabulary(text=tuple(text), special=special)


def byte_of_character() -> dict[str, int]:
    """The byte-level alphabet: which visible character stands for which byte.

    Printable bytes stand for themselves; the other 68, in order, for U+0100 and up
    (as GPT-2's encoder.py and the ``ByteLevel`` parts of ``tokenizers`` have it).
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(0x100) if byte not in printable]
    alphabet = {chr(byte): byte for byte in printable}
    alphabet.update({chr(0x100 + position): byte for position, byte in enumerate(hidden)})
    return alphabet


def incomplete_tail(data: bytes) -> int:
    """How many bytes at the end of ``data`` begin a UTF-8 character that is not finished yet."""
    for length in range(1, min(3, len(data)) + 1):
        byte = data[-length]
        if byte & 0xC0 == 0x80:
            continue
        expected = 4 if 0xF0 <= byte < 0xF5 else 3 if 0xE0 <= byte < 0xF0 else 2
        return length if 0xC2 <= byte < 0xF5 and length < expected else 0
    return 0
