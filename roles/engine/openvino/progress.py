"""Progress for whoever runs the build: lines on standard output, throttled."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from typing import TextIO

MINIMUM_INTERVAL_S = 0.2


@dataclass
class Progress:
    """One counted stretch of work, reported as ``::progress {json}`` lines.

    The first and the last step are always reported; those between at most five times a second,
    so that a build of many small steps does not flood its log.
    """

    label: str
    total: int
    unit: str
    stream: TextIO = field(default_factory=lambda: sys.stdout)
    done: int = 0
    _reported_at: float = 0.0

    def __post_init__(self) -> None:
        self._report()

    def advance(self, by: int = 1) -> None:
        """Count ``by`` more units as done."""
        self.done += by
        if self.done >= self.total or time.monotonic() - self._reported_at >= MINIMUM_INTERVAL_S:
            self._report()

    def _report(self) -> None:
        self._reported_at = time.monotonic()
        state = {"done": self.done, "total": self.total, "unit": self.unit, "label": self.label}
        print(f"::progress {json.dumps(state)}", file=self.stream, flush=True)


def log(message: str) -> None:
    """Write one plain line to standard output at once."""
    print(message, flush=True)
