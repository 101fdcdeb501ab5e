"""What a load test asks for: how many requests, how long, how many at a time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rolecall.errors import ConfigError

#: The most clients, or requests a second: each takes a connection, and a part of one core.
MOST = 10_000

Api = Literal["triton", "openai"]


@dataclass(frozen=True)
class Level:
    """One load: so many clients that each wait for their answer, or requests at a rate.

    Attributes:
        concurrency: clients of a closed loop; 0 for an open one.
        rate: requests a second that arrive in an open loop, whatever the server does.
    """

    concurrency: int = 0
    rate: float = 0.0

    @property
    def title(self) -> str:
        """Such as ``4 at a time`` or ``2.5/s``."""
        return f"{self.rate:g}/s" if self.rate else f"{self.concurrency} at a time"


@dataclass(frozen=True)
class Workload:
    """A load test.

    Attributes:
        levels: one after the other.
        input_tokens, output_tokens: of each request.
        requests: of each level; 0 where ``duration`` says how long it takes instead.
        duration: seconds during which requests of a level begin.
        warm_up: requests in front of each level that are not counted; -1: one for each client,
            2 of an open loop.
        seed: of prompts and arrivals; the same seed asks the same.
    """

    levels: tuple[Level, ...]
    input_tokens: int = 128
    output_tokens: int = 128
    requests: int = 0
    duration: float = 0.0
    warm_up: int = -1
    seed: int = 0
    api: Api = "triton"

    def count(self, level: Level) -> int:
        """Requests of a level; 0: as many as begin within ``duration``."""
        if self.duration:
            return 0
        return self.requests or max(20, 4 * level.concurrency)

    def warming(self, level: Level) -> int:
        """Requests in front of a level that are not counted."""
        return self.warm_up if self.warm_up >= 0 else level.concurrency or 2

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Workload:
        """The inverse of :meth:`to_dict`."""
        levels = tuple(Level(**level) for level in data["levels"])
        return cls(**{**data, "levels": levels})


def levels(concurrency: str, rate: str) -> tuple[Level, ...]:
    """The levels that options name: ``1,4,16`` clients, or requests a second.

    Raises:
        ConfigError: one is not a number above 0, or more than can be asked.
    """
    if rate:
        return tuple(Level(rate=value) for value in _numbers("rate", rate))
    found = tuple(_numbers("concurrency", concurrency))
    for value in found:
        if value != int(value):
            raise ConfigError(f"--concurrency {value:g}: a number of clients is whole")
    return tuple(Level(concurrency=int(value)) for value in found)


def _numbers(option: str, text: str) -> Iterator[float]:
    for part in text.split(","):
        try:
            value = float(part)
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            raise ConfigError(
                f"--{option} {text!r}: {part!r} is not a number above 0", f"such as --{option} 1,4"
            )
        if value > MOST:
            raise ConfigError(
                f"--{option} {text!r}: {part} is more than {MOST}",
                "that is more than one machine can ask; run tests from several",
            )
        yield value


def arrivals(rate: float, seed: int) -> Iterator[float]:
    """Seconds from the start at which requests arrive: a Poisson process, the same for a seed."""
    source = random.Random(f"arrivals {seed}")
    at = 0.0
    while True:
        at += source.expovariate(rate)
        yield at
