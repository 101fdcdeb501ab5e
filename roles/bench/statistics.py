"""Figures from single requests: rates, and latencies at p50, p90 and p99."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Sample:
    """One request. Times are in seconds since the level began.

    Attributes:
        due: when it should have begun; in a closed loop, when it did.
        first: when the first piece of text came; None if none did, or the whole came as one.
        end: when the answer was over, or failed.
        input_tokens, output_tokens: of the prompt and of the answer.
        error: what went wrong, in few words; empty if nothing did.
        gaps: seconds from each piece of text to the next.
    """

    due: float
    begun: float
    first: float | None
    end: float
    input_tokens: int
    output_tokens: int
    error: str = ""
    gaps: tuple[float, ...] = ()


@dataclass(frozen=True)
class Spread:
    """How a time is spread over requests, in seconds."""

    p50: float
    p90: float
    p99: float
    mean: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """The spread of some values; None of none."""
        if not values:
            return None
        ordered = sorted(values)
        p50, p90, p99 = (percentile(ordered, part) for part in (50, 90, 99))
        return cls(p50, p90, p99, sum(ordered) / len(ordered))


def percentile(ordered: Sequence[float], part: float) -> float:
    """The value below which ``part`` percent lie, interpolated between neighbours.

    ``ordered`` holds at least one value, the least first. As numpy's ``linear``.
    """
    place = (len(ordered) - 1) * part / 100
    low, high = math.floor(place), math.ceil(place)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


@dataclass(frozen=True)
class Server:
    """What the server's own counters say of a level, per request of one model, in seconds."""

    model: str
    requests: int
    queue: float
    compute: float


@dataclass(frozen=True)
class Figures:
    """What was measured at one level.

    Attributes:
        seconds: from the level's begin to its last answer.
        requests: that were answered.
        errors: of the others, how many failed in which way.
        input_tokens, output_tokens: the mean of the answered requests.
        first_token: from when a request was due to the first text of its answer.
        between_tokens: from the first text to the end, divided by the tokens after the first.
        gaps: from each piece of text to the next, of all requests together.
        whole: from when a request was due to the end of its answer.
        engine: how full it was at most, looked at four times a second: requests ``active`` and
            ``waiting``, ``blocks`` of the KV cache in use and ``all_blocks``.
        late: how much later than due the client itself began the slowest request.
    """

    title: str
    seconds: float
    requests: int
    errors: dict[str, int]
    input_tokens: float
    output_tokens: float
    requests_per_second: float
    tokens_per_second: float
    first_token: Spread | None
    between_tokens: Spread | None
    gaps: Spread | None
    whole: Spread | None
    late: float
    server: tuple[Server, ...] = field(default=())
    engine: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Figures:
        """The inverse of :meth:`to_dict`."""
        spreads = {
            name: Spread(**data[name]) if data[name] else None
            for name in ("first_token", "between_tokens", "gaps", "whole")
        }
        server = tuple(Server(**one) for one in data["server"])
        return cls(**{**data, **spreads, "server": server})


def figures(
    title: str,
    samples: Sequence[Sample],
    server: tuple[Server, ...] = (),
    engine: Mapping[str, float] | None = None,
) -> Figures:
    """The figures of a level's requests."""
    good = [one for one in samples if not one.error]
    errors = Counter(one.error for one in samples if one.error)
    seconds = max((one.end for one in samples), default=0.0)
    tokens = sum(one.output_tokens for one in good)
    return Figures(
        title,
        seconds,
        len(good),
        dict(errors.most_common()),
        _mean([one.input_tokens for one in good]),
        _mean([one.output_tokens for one in good]),
        len(good) / seconds if seconds else 0.0,
        tokens / seconds if seconds else 0.0,
        Spread.of([one.first - one.due for one in good if one.first is not None]),
        Spread.of(
            [
                (one.end - one.first) / (one.output_tokens - 1)
                for one in good
                if one.first is not None and one.output_tokens > 1
            ]
        ),
        Spread.of([gap for one in good for gap in one.gaps]),
        Spread.of([one.end - one.due for one in good]),
        max((one.begun - one.due for one in samples), default=0.0),
        server,
        dict(engine or {}),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
