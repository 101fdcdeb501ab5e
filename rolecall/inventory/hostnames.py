"""Host names as an inventory writes them: ranges to expand, and an address with its port."""

from __future__ import annotations

import ipaddress
import re
import string

from rolecall.errors import ConfigError

#: More names than this in one range are a slip, such as ``web[1:100000000]``.
MOST_NAMES = 100_000

_RANGE = re.compile(r"\[(?:[0-9]+:[0-9]+|[A-Za-z]:[A-Za-z])(?::[0-9]+)?\]")
_BRACKETED = re.compile(r"\[(.+)\]:([0-9]+)")
_PLAIN = re.compile(r"((?:[^:\[\]]|\[[^\[\]]*\])*):([0-9]+)")
_LABEL = r"\w(?:[\w-]{0,61}\w)?"
_HOSTNAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def is_address(text: str) -> bool:
    """Whether ``text`` is a host name or an IP address, ranges allowed."""
    bare = _RANGE.sub("0", text)
    if _HOSTNAME.fullmatch(bare):
        return True
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        return False
    return True


def split_port(text: str) -> tuple[str, int | None]:
    """Split ``host:22`` or ``[2001:db8::1]:22`` into name and port.

    What is not an address in front of a port, such as ``2001:db8::1`` or ``a/b:22``, is a name
    as a whole.
    """
    match = _BRACKETED.fullmatch(text) or _PLAIN.fullmatch(text)
    if match and is_address(match[1]):
        return match[1], int(match[2])
    return text, None


def expand(text: str) -> tuple[list[str], int | None]:
    """The names that a host entry stands for, in order, and its port.

    ``web[01:03]``, ``db-[a:f]`` and ``n[0:8:2]`` are ranges, with both ends and a step; zeros in
    front keep their width. Several ranges in one entry give every combination.

    Raises:
        ConfigError: a range is not of that form, runs backwards, or is absurdly long.
    """
    pattern, port = split_port(text)
    return _expand(pattern), port


def _expand(pattern: str) -> list[str]:
    opening = pattern.find("[")
    if opening < 0 or ":" not in pattern[opening:]:
        if opening >= 0:
            raise _not_a_range(pattern)
        return [pattern]
    closing = pattern.find("]", opening)
    if closing < 0:
        raise _not_a_range(pattern)
    head, tail = pattern[:opening], pattern[closing + 1 :]
    rest = _expand(tail)
    values = _values(pattern, pattern[opening + 1 : closing])
    if len(values) * len(rest) > MOST_NAMES:
        raise ConfigError(f"the range {pattern!r} stands for more than {MOST_NAMES} hosts")
    return [f"{head}{value}{end}" for value in values for end in rest]


def _values(pattern: str, text: str) -> list[str]:
    parts = text.split(":")
    if len(parts) not in {2, 3} or not parts[1]:
        raise _not_a_range(pattern)
    first, last, step = parts[0] or "0", parts[1], parts[2] if len(parts) == 3 else "1"
    letters = string.ascii_letters
    try:
        stride = int(step)
        if first in letters and last in letters and len(first) == len(last) == 1:
            start, end, width = letters.index(first), letters.index(last), -1
        else:
            start, end = int(first), int(last)
            padded = first.startswith("0") and len(first) > 1
            width = len(first) if padded else 0
    except ValueError:
        raise _not_a_range(pattern) from None
    if width > 0 and len(last) != width:
        raise ConfigError(f"the ends of the range in {pattern!r} differ in width")
    if stride < 1 or start > end:
        raise ConfigError(f"the range in {pattern!r} is empty: it has to go up")
    if (end - start) // stride >= MOST_NAMES:
        raise ConfigError(f"the range {pattern!r} stands for more than {MOST_NAMES} hosts")
    numbers = range(start, end + 1, stride)
    if width < 0:
        return [letters[number] for number in numbers]
    return [str(number).zfill(width) for number in numbers]


def _not_a_range(pattern: str) -> ConfigError:
    return ConfigError(
        f"{pattern!r} is not a host name or a range",
        "a range has two ends and perhaps a step: web[01:10], db-[a:f], node[0:8:2]",
    )
