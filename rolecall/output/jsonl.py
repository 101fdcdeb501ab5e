"""One JSON object a line: the same events, for programs."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, TextIO

from rolecall.events import Event, Progress, Recap
from rolecall.output.meter import Throttle

#: Seconds between two progress events of one step.
PROGRESS_INTERVAL = 0.5


def stamped(data: Mapping[str, Any]) -> str:
    """One event as a line: its kind, when (``at``, ISO 8601 in UTC), and the rest."""
    at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    return as_line({"event": data["event"], "at": at, **data})


def as_line(data: Mapping[str, Any]) -> str:
    """JSON in ASCII, so that neither bytes that are not UTF-8 nor control characters get out."""
    return json.dumps({key: _finite(value) for key, value in data.items()})


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


class JsonLines:
    """Writes every event as one flushed line, the recap last."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._throttle = Throttle(PROGRESS_INTERVAL)

    def handle(self, event: Event) -> None:
        """Write the event; of progress at most two a second.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        if isinstance(event, Progress) and not self._throttle.passes(event, self._clock()):
            return
        self._write(stamped(event.to_dict()))

    def finish(self, recap: Recap) -> None:
        """Write the recap."""
        self._write(as_line(recap.to_dict()))

    def _write(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()
