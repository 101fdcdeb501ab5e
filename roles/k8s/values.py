"""Forms of values that the API of Kubernetes prescribes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

#: A DNS label (RFC 1123), as most names of objects are.
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"

#: A host name.
HOSTNAME = rf"{LABEL}(?:\.{LABEL})*"

#: The terms of an affinity without which a pod runs nowhere.
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"

_QUANTITY = re.compile(r"\d+(\.\d+)?([mk]|[MGTPE]|[KMGTPE]i)?")
_LABEL_KEY = re.compile(rf"({HOSTNAME}/)?[A-Za-z0-9]([\w.-]{{0,61}}[A-Za-z0-9])?", re.ASCII)
_LABEL_VALUE = re.compile(r"|[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?", re.ASCII)


def amount(value: str) -> str:
    """A quantity such as 4, 500m or 64Gi. Raises ``ValueError``."""
    if not _QUANTITY.fullmatch(value):
        raise ValueError(f"{value!r} is no amount such as 4, 500m or 64Gi")
    return value


def quantity(value: str) -> str:
    """A quantity, or nothing. Raises ``ValueError``."""
    return amount(value) if value else value


def matching(pattern: str, message: str) -> Callable[[str], str]:
    """A check of a text against a pattern, which raises ``ValueError``."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{message}, not {value!r}")
        return value

    return check


def check_labels(value: Mapping[str, str]) -> Mapping[str, str]:
    """Labels of an object. Raises ``ValueError``."""
    for key, text in value.items():
        if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(text):
            raise ValueError(f"{key}: {text!r} is no label: letters, digits and . _ - are allowed")
        if key.startswith("app.kubernetes.io/"):
            raise ValueError(f"{key} is what Rolecall itself marks its objects with")
    return value


def check_annotations(value: Mapping[str, str]) -> Mapping[str, str]:
    """Annotations of an object: a text of any kind, under a label's key. Raises ``ValueError``."""
    for key in value:
        if not _LABEL_KEY.fullmatch(key):
            raise ValueError(
                f"{key!r} is no key of an annotation: letters, digits and . _ - are allowed, "
                "behind a host name and a slash if need be"
            )
    return value


def check_affinity(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parts that terms of our own are added to. Raises ``ValueError``."""
    for part, terms in value.items():
        if not isinstance(terms, Mapping):
            raise ValueError(f"{part}: a mapping of terms is needed, not {terms!r}")
    required = value.get("podAffinity", {}).get(REQUIRED, [])
    if not isinstance(required, list):
        raise ValueError(f"podAffinity.{REQUIRED}: a list of terms is needed, not {required!r}")
    return value


def binary(size: str) -> str:
    """A size as container engines write it, such as 2g, as an amount: 2Gi."""
    number, unit = (size[:-1], size[-1]) if size[-1:] in "bkmg" else (size, "b")
    return number + {"b": "", "k": "Ki", "m": "Mi", "g": "Gi"}[unit]
