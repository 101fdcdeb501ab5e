"""Secrets taken out of what is told: settings by their type, texts by their value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from rolecall.settings import Resolved, Settings

#: Stands for a secret.
MASK = "********"

#: Characters from which on a secret is looked for in texts. A shorter one would be found in
#: words that have nothing to do with it.
SHORTEST = 6

#: What is never rewritten: by these names things are found again.
_NAMES = frozenset({"host", "hosts", "role"})

# A password in an address: https://user:password@host
_IN_URL = re.compile(r"(?<=://)([^\s/@:]*):[^\s/@]+@")

#: From base64 to the one of addresses and tokens.
_URL_SAFE = str.maketrans("+/", "-_")

T = TypeVar("T")


def longest_first(secrets: Iterable[str]) -> tuple[str, ...]:
    """The secrets that can be looked for, the longest first: one may hold another.

    Of one of several lines, each line: it may be printed by itself. Each also as it is written
    in an address, in JSON and in base64.
    """
    lines = {line.strip() for secret in secrets for line in (secret, *secret.splitlines())}
    forms = {form for line in lines if len(line) >= SHORTEST for form in _forms(line)}
    return tuple(sorted(forms, key=len, reverse=True))


def _forms(secret: str) -> Iterator[str]:
    """A secret as it may stand in what another program prints."""
    import base64
    from urllib.parse import quote, quote_plus

    data = secret.encode("utf-8", "surrogateescape")
    yield secret
    yield from (quote(data, safe=""), quote(data), quote_plus(data))
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    for before in range(3):  # such as that of "user:" in front of it: what is the same for all
        first = -(-before * 8 // 6)
        last = (before + len(data)) * 8 // 6
        text = base64.b64encode(bytes(before) + data).decode()[first:last]
        if len(text) >= SHORTEST:
            yield from (text, text.translate(_URL_SAFE))


def without(value: T, secrets: Sequence[str]) -> T:
    """``value`` (an event, or a part of one) with ``secrets`` masked; itself if it has none."""
    if not secrets:
        return value
    found: Any = _without(value, secrets)
    return found  # type: ignore[no-any-return]


def _without(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            if secret in value:
                value = value.replace(secret, MASK)
        return value
    if isinstance(value, tuple):
        parts = [_without(part, secrets) for part in value]
        same = all(part is old for part, old in zip(parts, value, strict=True))
        return value if same else tuple(parts)
    if isinstance(value, Mapping):
        return {key: _without(part, secrets) for key, part in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        new: dict[str, Any] = {}
        for field in fields(value):
            old = getattr(value, field.name)
            if field.name not in _NAMES and (masked := _without(old, secrets)) is not old:
                new[field.name] = masked
        return replace(value, **new) if new else value
    return value


def settings_of(resolved: Resolved) -> Iterator[tuple[str, str, str]]:
    """Every setting: its name with dots, its value as text, where it came from.

    Masked are secrets by their type, whatever was given by reference (``!env``), and passwords
    in addresses.
    """
    yield from _settings(resolved.settings, resolved, ())


def _settings(
    settings: Settings, resolved: Resolved, at: tuple[str, ...]
) -> Iterator[tuple[str, str, str]]:
    from rolecall.settings import Settings

    for name in type(settings).model_fields:
        key = (*at, name)
        value = getattr(settings, name)
        if isinstance(value, Settings):
            yield from _settings(value, resolved, key)
            continue
        given = any(known[: len(key)] == key for known in resolved.origins)
        source = resolved.origin(key) if len(key) == 1 or given else "default"
        yield ".".join(key), _text(value, key, resolved), source


def _text(value: Any, key: tuple[str, ...], resolved: Resolved) -> str:
    from pydantic_core import to_jsonable_python

    if value is None:
        return "none"
    if any(secret[: len(key)] == key for secret in resolved.secrets):
        return MASK
    plain = to_jsonable_python(value, fallback=str)  # a SecretStr becomes ten stars
    text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
    return _IN_URL.sub(rf"\1:{MASK}@", text.replace("*" * 10, MASK))


def secrets_in(settings: Any) -> Iterator[str]:
    """Every secret that settings hold, by its type."""
    from pydantic import BaseModel, SecretStr

    match settings:
        case SecretStr():
            yield settings.get_secret_value()
        case BaseModel():
            for name in type(settings).model_fields:
                yield from secrets_in(getattr(settings, name))
        case Mapping():
            for value in settings.values():
                yield from secrets_in(value)
        case tuple() | list() | set() | frozenset():
            for value in settings:
                yield from secrets_in(value)
