"""A wait that a run tells of: once when it begins, once when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from rolecall.events import Event, WaitDone, Waiting


class Wait(AbstractContextManager["Wait"]):
    """Something that may have to be waited for. As a context, it is over at its end.

    Args:
        what: as in :class:`rolecall.events.Waiting`.
    """

    def __init__(self, emit: Callable[[Event], None], host: str, what: str) -> None:
        self._emit = emit
        self._host = host
        self._what = what
        self._since: float | None = None

    def begin(self, reason: str) -> None:
        """It has to be waited for; what is said a second time is not told."""
        if self._since is None:
            self._since = time.monotonic()
            self._emit(Waiting(self._host, self._what, reason))

    def end(self) -> None:
        """The wait is over, if there was one."""
        if self._since is not None:
            self._emit(WaitDone(self._host, self._what, time.monotonic() - self._since))
            self._since = None

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.end()
