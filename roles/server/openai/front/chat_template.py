"""A model's chat template: from a conversation to the text that the model goes on with.

Rendered as Hugging Face transformers 4.57 and 5 do (utils/chat_template_utils.py): a sandbox with
``trim_blocks`` and ``lstrip_blocks``, loop controls, the tag ``generation``, ``raise_exception``,
``strftime_now`` and a ``tojson`` that leaves HTML alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jinja2.exceptions import TemplateError
from jinja2.ext import Extension
from jinja2.ext import loopcontrols as loop_controls
from jinja2.sandbox import ImmutableSandboxedEnvironment

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.parser import Parser


#: What goes wrong in a template for what it is given.
_TEMPLATES_OWN = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


class ConversationError(ValueError):
    """The template cannot hold this conversation, or is no template."""


@dataclass(frozen=True)
class Template:
    """The text of a template, and the special tokens by name (``bos_token`` …)."""

    text: str
    tokens: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, template: str, tokenizer_config: str) -> Template:
        """From the texts of chat_template.jinja and tokenizer_config.json; empty: not there.

        Earlier transformers keep the template in the second, or several by name.
        """
        said: dict[str, Any] = json.loads(tokenizer_config) if tokenizer_config else {}
        tokens = {name: _text(value) for name, value in said.items() if name.endswith("_token")}
        inside = said.get("chat_template") or ""
        if isinstance(inside, list):
            named = {item["name"]: item["template"] for item in inside}
            inside = named.get("default", "")
        return cls(template or str(inside), tokens)

    def render(
        self, messages: Sequence[Mapping[str, Any]], further: Mapping[str, Any] | None = None
    ) -> str:
        """The text that asks the model for its next message; ``further`` are variables.

        Raises:
            ConversationError: with the template's own words, where it has some.
        """
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loop_controls]
        )
        environment.filters["tojson"] = _tojson
        environment.globals |= {"raise_exception": _raise, "strftime_now": _now}
        usual = {"tools": None, "documents": None, "add_generation_prompt": True}
        given = {**usual, **self.tokens, **(further or {}), "messages": messages}
        try:
            template = environment.from_string(self.text)
            return template.render(given)
        except _TEMPLATES_OWN as error:
            raise ConversationError(str(error)) from error


class _Generation(Extension):
    """``{% generation %}`` marks what the model said, for training; here it changes nothing."""

    tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The content of the block."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _text(token: Any) -> Any:
    """A special token's text, which may be written with its properties."""
    return token.get("content") if isinstance(token, dict) else token


def _tojson(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


def _raise(message: str) -> None:
    raise TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)
