"""Resources made of two shell texts, to put the loop into any situation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from rolecall.resource import (
    EVERYTHING,
    Apply,
    Observed,
    Probe,
    Removal,
    Resource,
    Script,
    ShellFunction,
)
from rolecall.shell import quote

_FUNCTION = ShellFunction("rc_test_act", 'rc_test_act() { eval "$1"; }')


@dataclass(frozen=True)
class Act(Resource):
    """``asks`` prints field=value lines; ``does`` is the apply."""

    kind: ClassVar[str] = "act"

    title: str
    asks: str
    does: str | Apply = ":"
    wants: Mapping[str, str] = field(default_factory=lambda: {"done": "yes"})
    reading: frozenset[str] = frozenset({EVERYTHING})
    writing: frozenset[str] = frozenset({EVERYTHING})
    undo: Removal | None = None

    @property
    def name(self) -> str:
        return self.title

    def probe(self) -> Probe:
        return Probe(_FUNCTION, (self.asks,))

    def desired(self) -> Mapping[str, str]:
        return self.wants

    def apply(self, observed: Observed) -> Apply:
        return Script(self.does) if isinstance(self.does, str) else self.does

    def removal(self, observed: Observed) -> Removal | None:
        return self.undo

    def reads(self) -> frozenset[str]:
        return self.reading

    def writes(self) -> frozenset[str]:
        return self.writing


def exists(path: object) -> str:
    """A probe: done when ``path`` is there."""
    return f"if [ -e {quote(str(path))} ]; then echo done=yes; else echo done=no; fi"


def makes(path: object, also: str = ":", **how: object) -> Act:
    """Done when ``path`` exists, which its apply makes."""
    name = str(path)
    return Act(name, exists(name), f"{also}\n: >{quote(name)}", **how)  # type: ignore[arg-type]
