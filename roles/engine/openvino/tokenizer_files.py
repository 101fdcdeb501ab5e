"""Writes the tokenizer of a GGUF in the format of the ``tokenizers`` library.

A GGUF carries vocabulary, merges and the *name* of its pre-tokenizer; what each name means is
fixed in llama.cpp (src/llama-vocab.cpp). Only names whose meaning is reproduced exactly are
accepted: a near miss would encode prompts differently from how the model was trained.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errors import BuildError
from gguf_source import Source
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors

_CONTROL = 3
_USER_DEFINED = 4

_LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class SpecialTokens:
    """Ids of the tokens with a role of their own; None where the model has none."""

    begin: int | None
    end: int
    padding: int


def special_tokens(source: Source) -> SpecialTokens:
    """The special tokens as the GGUF names them. Padding falls back to the end token.

    Raises ``BuildError`` if there is no end token, since generation could then never stop.
    """
    end = source.value("tokenizer.ggml.eos_token_id")
    if end is None:
        raise BuildError("metadata tokenizer.ggml.eos_token_id is missing")
    begin = source.value("tokenizer.ggml.bos_token_id")
    padding = source.value("tokenizer.ggml.padding_token_id", end)
    return SpecialTokens(
        begin=None if begin is None else int(begin), end=int(end), padding=int(padding)
    )


def write_tokenizer(source: Source, directory: Path) -> None:
    """Write ``tokenizer.json``, ``tokenizer_config.json`` and ``chat_template.jinja``.

    Raises ``BuildError`` for a tokenizer that cannot be reproduced exactly.
    """
    build_tokenizer(source).save(str(directory / "tokenizer.json"))
    tokens: list[str] = source.value("tokenizer.ggml.tokens")
    special = special_tokens(source)
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": bool(source.value("tokenizer.ggml.add_bos_token", False)),
        "bos_token": None if special.begin is None else tokens[special.begin],
        "eos_token": tokens[special.end],
        "pad_token": tokens[special.padding],
        "model_max_length": source.shape.context_length,
        "clean_up_tokenization_spaces": False,
    }
    template = source.value("tokenizer.chat_template")
    if template is not None:
        config["chat_template"] = template
        (directory / "chat_template.jinja").write_text(template, encoding="utf-8")
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    (directory / "tokenizer_config.json").write_text(text, encoding="utf-8")


def build_tokenizer(source: Source) -> Tokenizer:
    """The GGUF's byte-level BPE tokenizer."""
    family = source.value("tokenizer.ggml.model")
    if family != "gpt2":
        raise BuildError(
            f"tokenizer family {family!r} is not supported (supported: 'gpt2', byte-level BPE)"
        )
    name = source.value("tokenizer.ggml.pre", "default")
    if name not in _PRE_TOKENIZERS:
        supported = ", ".join(sorted(_PRE_TOKENIZERS))
        raise BuildError(f"pre-tokenizer {name!r} is not supported (supported: {supported})")
    tokens: list[str] = source.value("tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ", 1)) for merge in source.value("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={token: index for index, token in enumerate(tokens)},
            merges=merges,
            ignore_merges=name in _IGNORE_MERGES,
        )
    )
    tokenizer.pre_tokenizer = _PRE_TOKENIZERS[name]()
    tokenizer.decoder = decoders.ByteLevel()
    begin = special_tokens(source).begin
    if begin is not None and source.value("tokenizer.ggml.add_bos_token", False):
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{tokens[begin]} $A", special_tokens=[(tokens[begin], begin)]
        )
    kinds = source.value("tokenizer.ggml.token_type", [])
    tokenizer.add_special_tokens(
        [
            AddedToken(token, special=True, normalized=False)
            for token, kind in zip(tokens, kinds, strict=False)
            if kind == _CONTROL
        ]
    )
    tokenizer.add_tokens(
        [
            AddedToken(token, special=False, normalized=False)
            for token, kind in zip(tokens, kinds, strict=False)
            if kind == _USER_DEFINED
        ]
    )
    if tokenizer.get_vocab_size() != len(tokens):
        raise BuildError("the vocabulary holds a token twice")
    return tokenizer


def _byte_level() -> Any:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


def _digits_then_byte_level() -> Any:
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), _byte_level()])


def _llama3() -> Any:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_LLAMA3_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


_PRE_TOKENIZERS: dict[str, Callable[[], Any]] = {
    "gpt-2": _byte_level,
    "smollm": _digits_then_byte_level,
    "llama-bpe": _llama3,
    "llama3": _llama3,
}
_IGNORE_MERGES = frozenset({"llama-bpe", "llama3"})
