"""Which process runs which check: all those of one host go to one, which connects to it once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]


class ByHost(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out the checks of a host together; a test of no host by itself.

    xdist's own groups rely on parts of pytest that 9.2 no longer has (``Item._nodeid``).
    """

    def __init__(self, config: Any, log: Any, names: Iterable[str]) -> None:
        """``names`` are those of the hosts, with which the id of a check's parameters begins."""
        super().__init__(config, log)
        self._names = sorted(names, key=len, reverse=True)

    def _split_scope(self, nodeid: str) -> str:
        parameters = nodeid.partition("[")[2]
        for name in self._names:
            if parameters.startswith((f"{name}]", f"{name}-")):
                return name
        return nodeid
