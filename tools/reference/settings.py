"""The reference of settings, from the settings' types: their texts, types, defaults and rules."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

import tasks
from rolecall.cli.show_settings import field_texts
from rolecall.settings import Settings
from tools.reference import MADE, cell, code, plain

_BOUNDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


def page() -> str:
    """The page."""
    types = tasks.project.setting_types()
    parts = [
        "# Settings",
        MADE,
        "Every setting of the runner (`rolecall`) and of each role. A setting stands in the "
        "[inventory](../inventory.md) under the name of its role, or in `--set ROLE.KEY=VALUE`. "
        "`./inv settings [ROLE] --hosts HOST` shows the values of a host and their places.",
        "A list is written `[a, b]`, a mapping `{a: b}`, as YAML has them. A *secret* is given by "
        "reference, `!env NAME` or `!file PATH`, and is never shown.",
        "What is refused is refused before any host is touched, in the words given here; … stands "
        "for the value.",
        " · ".join(f"[{name}](#{name})" for name in types),
    ]
    for name, settings in types.items():
        parts += _section(name, settings)
    return "\n\n".join(parts) + "\n"


def _section(name: str, settings: type[Settings]) -> Iterator[str]:
    yield f"## {name}"
    if not settings.model_fields:
        yield "No settings."
        return
    rows = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    rules: list[str] = []
    for place, info, text, owner in fields(name, settings):
        if info is None:
            rows.append(f"| **{place}** | | | {cell(plain(text))} |")
            rules += [f"`{place}`: {rule}" for rule in _rules_of_all(owner)]
            continue
        limits, rules_of = _limits(info), _rules_of(owner, place.rpartition(".")[2])
        meaning = plain(text) + (f" *{' and '.join(limits).capitalize()}.*" if limits else "")
        meaning += "".join(f" *Refused: {said.rstrip('.')}.*" for said in rules_of)
        rows.append(f"| `{place}` | {_type(info)} | {_default(info)} | {cell(meaning)} |")
    yield "\n".join(rows)
    rules = [*(f"`{name}`: {rule}" for rule in _rules_of_all(settings)), *rules]
    if rules:
        yield "Refused as well:\n\n" + "\n".join(f"- {rule}" for rule in rules)


def fields(
    name: str, settings: type[Settings]
) -> Iterator[tuple[str, FieldInfo | None, str, type[Settings]]]:
    """Each field; of settings within settings a heading (whose info is text), then its fields."""
    texts = field_texts(settings)
    for field, info in settings.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, Settings):
            yield f"{name}.{field}", None, texts.get(field, ""), kind
            yield from fields(f"{name}.{field}", kind)
        else:
            yield f"{name}.{field}", info, texts.get(field, ""), settings


def _type(info: FieldInfo) -> str:
    return cell(_name(info.annotation))


def _name(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _name(inner[0])
    if origin in (Union, UnionType):
        return " or ".join("`null`" if one is NoneType else _name(one) for one in inner)
    if origin is Literal:
        return ", ".join(code(str(one) or '""') for one in inner)
    if origin is tuple or origin is list:
        return f"list of {_name(inner[0])}"
    if origin is dict:
        return f"mapping of {_name(inner[1])}"
    known = {str: "text", int: "number", float: "number", bool: "`true`, `false`"}
    known |= {SecretStr: "secret", Any: "anything"}
    return known.get(kind) or str(getattr(kind, "__name__", kind))


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    return cell(code(_yaml(value)))


def _yaml(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(one)}" for key, one in value.items()) + "}"
    return str(value) or '""'


def _limits(info: FieldInfo) -> list[str]:
    return [
        f"{words} {bound}"
        for one in info.metadata
        for name, words in _BOUNDS.items()
        if (bound := getattr(one, name, None)) is not None
    ]


def _rules_of(settings: type[Settings], field: str) -> list[str]:
    """What the validators of a field refuse, in their own words."""
    found = []
    for name, decorator in settings.__pydantic_decorators__.field_validators.items():
        if field in decorator.info.fields:
            found += _refusals(settings, name)
    return found


def _rules_of_all(settings: type[Settings]) -> list[str]:
    """What the rules about several settings refuse."""
    validators = settings.__pydantic_decorators__.model_validators
    return [said for name in validators for said in _refusals(settings, name)]


def _refusals(settings: type[Settings], validator: str) -> list[str]:
    function = getattr(settings, validator)
    tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(function)))
    return [
        cell(said)
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and node.exc.args
        and (said := _said(node.exc.args[0]))
    ]


def _said(node: ast.expr) -> str:
    """The text of a message, with … for what is filled in."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_said(part) for part in parts)
        case ast.FormattedValue():
            return "…"
    return ""
