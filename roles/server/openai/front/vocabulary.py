"""The model's tokenizer, its special tokens, and how long a text it takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from .chat_template import Template
from .limits import Limits

_REPLACEMENT = "\ufffd"

#: Tokens of the prompt that the first token of an answer is decoded after.
_VIEW = 5


@dataclass(frozen=True)
class Vocabulary:
    """What the files of a model say.

    Attributes:
        end_ids: tokens that end an answer, the one that the engine is told first.
        limits: what the files say of them.
    """

    tokenizer: Tokenizer
    template: Template
    end_ids: tuple[int, ...]
    pad_id: int | None
    limits: Limits

    @classmethod
    def load(cls, folders: Sequence[Path]) -> Vocabulary | None:
        """From the first folder that has a tokenizer.json; None where none has.

        What that folder does not say (a chat template, a limit), a later one may.
        """
        home = next((folder for folder in folders if (folder / "tokenizer.json").is_file()), None)
        if home is None:
            return None
        tokenizer = Tokenizer.from_file(str(home / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        templates = [_template(folder) for folder in folders]
        template = next((found for found in templates if found.text), _template(home))
        tokens = _template(home).tokens
        ends = _ids(tokenizer, tokens.get("eos_token"))
        for name in ("generation_config.json", "config.json"):
            ends += _numbers(_json(home / name).get("eos_token_id"))
        pad = _ids(tokenizer, tokens.get("pad_token")) or ends
        return cls(
            tokenizer,
            template,
            tuple(dict.fromkeys(ends)),
            pad[0] if pad else None,
            Limits.of([_json(folder / "config.json") for folder in folders]),
        )

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Token ids; ``special`` puts those around it that the tokenizer has for a text."""
        # A batch lets other threads run meanwhile, and does not count where each token stands.
        (found,) = self.tokenizer.encode_batch_fast([text], add_special_tokens=special)
        return list(found.ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Their text, without special tokens."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    @property
    def begins_itself(self) -> str:
        """The text of the token that the tokenizer puts in front of every text, if it does."""
        begin = self.template.tokens.get("bos_token")
        ids = _ids(self.tokenizer, begin)
        return str(begin) if ids and self.encode("", special=True)[:1] == ids else ""


class Decoding:
    """The text of token ids that come one after the other.

    A token may be written differently after another one, and a character may be spread over
    several, so the ids before are kept in view, and what is no whole character is held back.
    """

    def __init__(self, vocabulary: Vocabulary, prompt: Sequence[int]) -> None:
        self._vocabulary = vocabulary
        self._ids = list(prompt[-_VIEW:])
        self._start, self._read = 0, len(self._ids)

    def add(self, ids: Sequence[int]) -> str:
        """The text that has come with these ids."""
        self._ids += ids
        text = self._new()
        if not text or text.endswith(_REPLACEMENT):
            return ""
        self._start, self._read = self._read, len(self._ids)
        return text

    def rest(self) -> str:
        """What is held back, now that no more comes."""
        return self._new()

    def _new(self) -> str:
        before = self._vocabulary.decode(self._ids[self._start : self._read])
        return self._vocabulary.decode(self._ids[self._start :])[len(before) :]


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _template(folder: Path) -> Template:
    texts = []
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        path = folder / name
        texts.append(path.read_text(encoding="utf-8") if path.is_file() else "")
    return Template.read(*texts)


def _numbers(value: Any) -> list[int]:
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, int)]


def _ids(tokenizer: Tokenizer, token: Any) -> list[int]:
    found = tokenizer.token_to_id(token) if isinstance(token, str) else None
    return [] if found is None else [int(found)]
