"""Quoting, and the one text form in which values travel between controller and host.

Every value that reaches a shell goes through :func:`quote`; nothing else in the project builds
shell words.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterable

from rolecall.errors import ConfigError

ENCODING = "utf-8"
ERRORS = "surrogateescape"


def quote(value: str) -> str:
    """Return ``value`` as one word of a POSIX shell, whatever it contains.

    Raises:
        ConfigError: ``value`` holds a NUL byte, which no shell word can carry.
    """
    if "\0" in value:
        raise ConfigError(f"a value for the shell holds a NUL byte: {value!r}")
    return shlex.quote(value)


def words(values: Iterable[str]) -> str:
    """Quote each of ``values`` and join them with spaces."""
    return " ".join(quote(value) for value in values)


def encode(text: str) -> bytes:
    """Encode text for a host; bytes that were not UTF-8 survive the way there and back."""
    return text.encode(ENCODING, ERRORS)


def decode(data: bytes) -> str:
    """The inverse of :func:`encode`."""
    return data.decode(ENCODING, ERRORS)


def escape(value: str) -> str:
    """Fold ``value`` onto one line, as ``rc_field`` does on the host."""
    return value.replace("\\", "\\\\").replace("\n", "\\n")


def unescape(value: str) -> str:
    """The inverse of :func:`escape`."""
    parts: list[str] = []
    chars = iter(value)
    for char in chars:
        if char == "\\":
            char = "\n" if next(chars, "\\") == "n" else "\\"
        parts.append(char)
    return "".join(parts)


def emit(content: bytes) -> str:
    """Return a command that writes exactly ``content`` to standard output.

    Text travels as a quoted word of ``printf``, a builtin without a length limit; anything a
    word cannot carry travels as base64. ``cat`` writes because it tells why it cannot: of a full
    disk, dash's ``printf`` says "I/O error" and busybox's nothing.
    """
    try:
        text = content.decode(ENCODING)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return f"printf %s {quote(base64.b64encode(content).decode())} | base64 -d"
    return f"printf %s {quote(text)} | cat"
