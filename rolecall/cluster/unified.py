"""The difference of two objects, as text."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from rolecall.cluster.objects import Object
from rolecall.cluster.secret import is_secret, masked

#: Fields of ``metadata`` that a server writes at every change.
SERVERS = frozenset(
    {"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}
)


def unified(before: Object | None, after: Object | None) -> tuple[str, ...]:
    """A unified diff of two objects as YAML, from ``live`` to ``desired``; () where none differs.

    Without the status and what the server keeps for itself; values of a Secret are digests.
    """
    secret = any(thing is not None and is_secret(thing) for thing in (before, after))
    lines = difflib.unified_diff(
        _lines(before, secret),
        _lines(after, secret),
        fromfile="live",
        tofile="desired",
        lineterm="",
        n=3,
    )
    return tuple(lines)


def _lines(thing: Object | None, secret: bool) -> list[str]:
    if thing is None:
        return []
    import yaml

    text = yaml.dump(
        _shown(thing, secret), Dumper=_dumper(), sort_keys=True, width=10_000, allow_unicode=True
    )
    return str(text).splitlines()


def _shown(thing: Object, secret: bool) -> dict[str, Any]:
    plain = masked(thing) if secret else dict(thing)
    plain.pop("status", None)
    metadata = plain.get("metadata")
    if isinstance(metadata, Mapping):
        plain["metadata"] = {name: value for name, value in metadata.items() if name not in SERVERS}
    return plain


@lru_cache(maxsize=1)
def _dumper() -> Any:
    """A dumper that writes texts of several lines as blocks, and never refers back."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    return Dumper
