"""Puts a load on a server: closed and open loops over one event loop."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from roles.bench.client import SILENCE, Asker, FailedError
from roles.bench.prompts import Lengths, prompt
from roles.bench.statistics import Sample
from roles.bench.workload import Level, Workload, arrivals

#: Prompts of a level and its warm-up have numbers of their own, so that none is asked twice.
_LEVEL = 1_000_000


@dataclass
class Run:
    """The requests of one level, as they are answered.

    Attributes:
        samples: what was measured, complete at every moment.
        heard: is called after each request.
    """

    workload: Workload
    level: Level
    number: int
    asker: Asker
    lengths: Lengths
    heard: Callable[[Run], None] = lambda _: None
    samples: list[Sample] = field(default_factory=list)
    clock: Callable[[], float] = time.perf_counter
    _start: float = 0.0

    def go(self) -> None:
        """Put the load on; returns when the last request is over, or on Ctrl-C."""
        asyncio.run(self._go())

    async def _go(self) -> None:
        import httpx

        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        async with httpx.AsyncClient(timeout=SILENCE, limits=limits, trust_env=False) as client:
            numbers = itertools.count(self.number * _LEVEL)
            for _, place in zip(range(self.workload.warm_up), numbers, strict=False):
                text = self._prompt(place)
                await self._ask(client, place, text, self.clock())
            self.samples.clear()
            self._start = self.clock()
            if self.level.rate:
                await self._open(client, numbers)
            else:
                await self._closed(client, numbers)

    async def _closed(self, client: object, numbers: Iterator[int]) -> None:
        """Each client asks again as soon as it has its answer."""
        left = self._allowed(numbers)

        async def one() -> None:
            for place in left:
                text = self._prompt(place)
                await self._ask(client, place, text, self.clock())

        await asyncio.gather(*(one() for _ in range(self.level.concurrency)))

    def _allowed(self, numbers: Iterator[int]) -> Iterator[int]:
        count = self.workload.count(self.level)
        if count:
            yield from itertools.islice(numbers, count)
        while not count and self.clock() - self._start < self.workload.duration:
            yield next(numbers)

    async def _open(self, client: object, numbers: Iterator[int]) -> None:
        """Requests begin when they are due, whether earlier ones are answered or not."""
        count = self.workload.count(self.level)
        asked: list[asyncio.Task[None]] = []
        for at, place in zip(arrivals(self.level.rate, self.workload.seed), numbers, strict=False):
            if (count and len(asked) == count) or (not count and at > self.workload.duration):
                break
            text = self._prompt(place)
            due = self._start + at
            await asyncio.sleep(max(0.0, due - self.clock()))
            asked.append(asyncio.create_task(self._ask(client, place, text, due)))
        await asyncio.gather(*asked)

    def _prompt(self, number: int) -> str:
        return prompt(self.lengths, self.workload.input_tokens, self.workload.seed, number)

    async def _ask(self, client: object, number: int, text: str, due: float) -> None:
        begun = self.clock()
        first: float | None = None
        told: int | None = None
        parts: list[str] = []
        error = ""
        try:
            wanted, seed = self.workload.output_tokens, self.workload.seed + number
            async for piece in self.asker.stream(client, text, wanted, seed):  # type: ignore[arg-type]
                if piece.text:
                    first = first or self.clock()
                    parts.append(piece.text)
                told = piece.tokens if piece.tokens is not None else told
        except FailedError as failed:
            error = str(failed)
        end = self.clock()
        if not error and first is None:
            error = "an empty answer"
        output = self.lengths.of("".join(parts)) if told is None else told
        self.samples.append(
            Sample(
                due - self._start,
                begun - self._start,
                None if first is None else first - self._start,
                end - self._start,
                self.lengths.of(text),
                output,
                error,
            )
        )
        self.heard(self)
