"""The parameters of a config.pbtxt template, and how they are filled.

Upstream fills its templates with ``string.Template``; which parameters there are, and which of
them must be filled, is read from the template itself.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import Template
from typing import Literal

from errors import FillError

Context = Literal["quoted", "bare", "comment"]
Value = str | int | float | bool

#: Quoted, and yet a server that finds one of them unfilled does not come up. triton_backend:
#: NVIDIA/TensorRT-LLM issue 1803; gpt_model_type and gpt_model_path, which batching_strategy and
#: engine_dir fill: tensorrtllm_backend da59830, model_instance_state.cc; tokenizer_type: v0.8.0,
#: preprocessing/1/model.py; tokenizer_dir: without it the hub is asked (tensorrtllm_backend 109).
FATAL = frozenset(
    {"triton_backend", "batching_strategy", "engine_dir", "tokenizer_dir", "tokenizer_type"}
)

# What may stand where a template has no quotes: a number, a word of an enumeration, a boolean.
_BARE = re.compile(r"[A-Za-z0-9_.+-]+")


@dataclass(frozen=True)
class Placeholder:
    """One occurrence of a parameter in a template."""

    name: str
    context: Context
    start: int
    end: int


def parse(template: str) -> list[Placeholder]:
    """Every parameter's occurrences, in order, and whether each is within quotes or a comment."""
    contexts = _contexts(template)
    return [
        Placeholder(name, contexts[match.start()], match.start(), match.end())
        for match in Template.pattern.finditer(template)
        if (name := match.group("braced") or match.group("named"))
    ]


def _contexts(text: str) -> list[Context]:
    """For each character: in a string, in a comment, or neither."""
    found: list[Context] = []
    quote, comment, escaped = "", False, False
    for character in text:
        if comment:
            comment = character != "\n"
        elif quote:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == quote:
                quote = ""
        elif character in "\"'":
            quote = character
        elif character == "#":
            comment = True
        found.append("comment" if comment else "quoted" if quote else "bare")
    return found


def names(placeholders: Iterable[Placeholder]) -> set[str]:
    """The parameters that filling has an effect on: those outside of comments."""
    return {item.name for item in placeholders if item.context != "comment"}


def hard(placeholders: Iterable[Placeholder]) -> set[str]:
    """The parameters that must be filled: protobuf cannot read them, or the server ends."""
    return {
        item.name
        for item in placeholders
        if item.context == "bare" or (item.context == "quoted" and item.name in FATAL)
    }


def refuse_unknown(given: Iterable[str], known: Iterable[str]) -> None:
    """Every parameter that was given is one of the templates'.

    Raises:
        FillError: one is not; the hint names the nearest.
    """
    choices = sorted(set(known))
    for name in given:
        if name in choices:
            continue
        close = difflib.get_close_matches(name, choices, 1, 0.5)
        raise FillError(
            f"the templates have no parameter {name}",
            f"did you mean {close[0]}?" if close else f"they have: {', '.join(choices)}",
        )


def fill(template: str, values: Mapping[str, Value], where: str) -> tuple[str, set[str]]:
    """The template with its parameters filled, and the names of those that were left.

    Raises:
        FillError: a parameter that must be filled has no value, or one that cannot stand there.
    """
    placeholders = parse(template)
    if missing := sorted(hard(placeholders) - set(values)):
        raise FillError(
            f"{where}: {', '.join(missing)} must be filled, and nothing was given",
            f"set repo.upstream.parameters.{missing[0]}",
        )
    parts: list[str] = []
    left: set[str] = set()
    at = 0
    for item in placeholders:
        parts.append(template[at : item.start])
        at = item.end
        if item.context != "comment" and item.name in values:
            parts.append(_text(values[item.name], item, where))
            continue
        parts.append(template[item.start : item.end])
        if item.context != "comment":
            left.add(item.name)
    return "".join([*parts, template[at:]]), left


def _text(value: Value, item: Placeholder, where: str) -> str:
    text = str(value)
    if item.context == "quoted":
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    if not _BARE.fullmatch(text):
        raise FillError(
            f"{where}: {item.name} stands without quotes; {text!r} cannot be its value",
            "a number, a boolean or a word such as TYPE_FP32 is needed",
        )
    return text
