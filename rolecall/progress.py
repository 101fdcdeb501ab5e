"""The progress lines that long work prints: ``::progress {"done": 3, "total": 9, ...}``."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

PREFIX = "::progress "


@dataclass(frozen=True)
class ProgressLine:
    """How far a step is; ``total`` 0 means unknown. ``unit`` is ``B`` for bytes, else a noun."""

    label: str
    done: float
    total: float
    unit: str


def parse_progress(line: str) -> ProgressLine | None:
    """Read one line of output; None when it is ordinary output."""
    if not line.startswith(PREFIX):
        return None
    try:
        data = json.loads(line[len(PREFIX) :])
        done, total = float(data["done"]), float(data.get("total") or 0)
        if not (math.isfinite(done) and math.isfinite(total)):
            return None
        return ProgressLine(str(data.get("label", "")), done, total, str(data.get("unit", "")))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None
