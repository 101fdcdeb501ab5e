"""The part of Go's text/template that the manual shows: ``{{.X}}`` and ``{{if .X}}…{{end}}``.

Everything else is refused by name. Behaviour as of text/template of Go 1.26: a missing key is
``<no value>``, ``if`` is false for it and for the empty string, ``{{-`` and ``-}}`` trim.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_TOKEN = re.compile(r"(?:(\s*)\{\{-\s+|\{\{\s*)(.*?)(?:\s+-\}\}(\s*)|\s*\}\})", re.DOTALL)
_FIELD = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)")


class TemplateError(Exception):
    """The template has what the double does not know, or what Go would refuse."""


def render(text: str, parameters: Mapping[str, str]) -> str:
    """Fill a template.

    Raises:
        TemplateError: it is not of the published part.
    """
    tokens = list(_tokens(text))
    out, rest = _block(tokens, 0, parameters, inside=False)
    assert rest == len(tokens)
    return out


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Literal text and actions, with whitespace trimmed where the actions say so."""
    at = 0
    for match in _TOKEN.finditer(text):
        if match.start() > at:
            yield "text", text[at : match.start()]
        yield "action", match[2].strip()
        at = match.end()
    rest = text[at:]
    if "{{" in rest:
        raise TemplateError(f"unclosed action: {rest[rest.index('{{') :][:20]!r}")
    if rest:
        yield "text", rest


def _block(
    tokens: list[tuple[str, str]], at: int, parameters: Mapping[str, str], *, inside: bool
) -> tuple[str, int]:
    """The text up to ``end`` or ``else`` and where that stands; up to the very end outside."""
    out: list[str] = []
    while at < len(tokens):
        kind, text = tokens[at]
        word = text.split()[0] if text.split() else ""
        if kind == "text":
            out.append(text)
        elif word in ("end", "else"):
            if not inside:
                raise TemplateError(f"unexpected {{{{{word}}}}}")
            return "".join(out), at
        elif word == "if":
            part, at = _condition(tokens, at, parameters)
            out.append(part)
        elif match := _FIELD.fullmatch(text):
            out.append(parameters.get(match[1], "<no value>"))
        else:
            raise TemplateError(f"the double of T9k knows no {{{{{text}}}}}")
        at += 1
    if inside:
        raise TemplateError("unexpected EOF: {{if}} without {{end}}")
    return "".join(out), at


def _condition(
    tokens: list[tuple[str, str]], at: int, parameters: Mapping[str, str]
) -> tuple[str, int]:
    """``if`` to ``end``: the text of the branch that holds, and where the ``end`` stands."""
    match = _FIELD.fullmatch(tokens[at][1][2:].strip())
    if not match:
        raise TemplateError(f"the double of T9k knows no {{{{{tokens[at][1]}}}}}")
    then, at = _block(tokens, at + 1, parameters, inside=True)
    otherwise = ""
    if tokens[at][1] == "else":
        otherwise, at = _block(tokens, at + 1, parameters, inside=True)
    if tokens[at][1] != "end":
        raise TemplateError(f"the double of T9k knows no {{{{{tokens[at][1]}}}}}")
    return (then if parameters.get(match[1]) else otherwise), at
