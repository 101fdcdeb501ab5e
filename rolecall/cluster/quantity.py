"""Quantities of Kubernetes ("500m", "64Gi", "1e3"), which an API server rewrites."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([A-Za-z]{0,2}))")

# apimachinery 0.34, pkg/api/resource/suffix.go.
_FACTOR = {
    **{suffix: Fraction(1000) ** power for power, suffix in enumerate(("n", "u", "m"), -3)},
    "": Fraction(1),
    **{suffix: Fraction(1000) ** power for power, suffix in enumerate("kMGTPE", 1)},
    **{suffix: Fraction(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi"), 1)},
    **{suffix: Fraction(1024) ** power for power, suffix in enumerate(("Ti", "Pi", "Ei"), 4)},
}


@lru_cache(maxsize=4096)
def quantity(text: str) -> Fraction | None:
    """The number that a quantity stands for; None where the text is none."""
    found = _NUMBER.fullmatch(text)
    if not found:
        return None
    number, exponent, suffix = found.groups()
    if exponent:
        return Fraction(number) * Fraction(10) ** int(exponent[1:])
    return Fraction(number) * _FACTOR[suffix] if suffix in _FACTOR else None


def same_quantity(one: object, other: object, *, milli: bool = False) -> bool:
    """Whether two values are the same quantity, as an API server keeps it.

    It rounds up what is smaller than it can keep: to nano, or to milli where the value belongs
    to a list of resources (Kubernetes 1.34, ``SetDefaults_ResourceList``).
    """
    left, right = _read(one), _read(other)
    if left is None or right is None:
        return False
    unit = 1000 if milli else 10**9
    return _up(left * unit) == _up(right * unit)


def _read(value: object) -> Fraction | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    return quantity(str(value))


def _up(number: Fraction) -> int:
    """The next whole number away from zero."""
    whole = -(-abs(number.numerator) // number.denominator)
    return whole if number >= 0 else -whole
