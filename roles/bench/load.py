"""Puts a load on a server: closed and open loops over one event loop."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roles.bench.client import SILENCE, Asker, FailedError, NoConnectionError
from roles.bench.prompts import Lengths, prompt
from roles.bench.statistics import Sample
from roles.bench.workload import Level, Workload, arrivals

if TYPE_CHECKING:
    import ssl

    import httpx

#: Prompts of a level and its warm-up have numbers of their own, so that none is asked twice.
_LEVEL = 1_000_000

#: So many requests in a row without a connection, and the server counts as gone.
GONE = 20

#: Prompts that are made in advance, at most.
_AHEAD = 1000

#: Seconds that a client waits after it got no connection.
_PAUSE = 0.1


class Clients:
    """Clients that each have a connection of their own, as many as ask at the same time.

    One httpx client for all takes the longer for each request, the more of them are open: with 64
    that made its first token 20 ms late, and 1 s at p99.
    """

    def __init__(self) -> None:
        self._idle: list[httpx.AsyncClient] = []
        self._all: list[httpx.AsyncClient] = []
        self._tls: ssl.SSLContext | None = None

    async def __aenter__(self) -> Clients:
        import httpx

        self._tls = httpx.create_ssl_context()
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._all:
            await client.aclose()

    def take(self) -> httpx.AsyncClient:
        """One that nobody uses."""
        import httpx

        if self._idle:
            return self._idle.pop()
        assert self._tls is not None
        made = httpx.AsyncClient(timeout=SILENCE, trust_env=False, verify=self._tls)
        self._all.append(made)
        return made

    def give_back(self, client: httpx.AsyncClient) -> None:
        """Nobody uses it any more."""
        self._idle.append(client)


@dataclass
class Run:
    """The requests of one level, as they are answered.

    Attributes:
        samples: what was measured, complete at every moment.
        heard: is called after each request.
        warm: is called once the warm-up is over.
        unconnected: how many of the latest requests, in a row, had no connection.
        gone: so many that no request was begun any more.
    """

    workload: Workload
    level: Level
    number: int
    asker: Asker
    lengths: Lengths
    heard: Callable[[Run], None] = lambda _: None
    warm: Callable[[], None] = lambda: None
    samples: list[Sample] = field(default_factory=list)
    clock: Callable[[], float] = time.perf_counter
    unconnected: int = 0
    gone: bool = False
    _start: float = 0.0
    _prompts: dict[int, str] = field(default_factory=dict)

    def go(self) -> None:
        """Put the load on; returns when the last request is over, or on Ctrl-C."""
        asyncio.run(self.ask_all())

    async def ask_all(self) -> None:
        """The same, in the event loop that runs."""
        numbers = itertools.count(self.number * _LEVEL)
        self._make_prompts()
        async with Clients() as clients:
            try:
                await self._warm_up(clients, numbers)
            finally:  # also where Ctrl-C ends it: what was measured of it does not count
                self.samples.clear()
            self.unconnected, self.gone = 0, False
            self.warm()
            self._start = self.clock()
            if self.level.rate:
                await self._open(clients, numbers)
            else:
                await self._closed(clients, numbers)

    async def _warm_up(self, clients: Clients, numbers: Iterator[int]) -> None:
        """As many at a time as there will be clients, so that each finds its connection open."""
        left = itertools.islice(numbers, self.workload.warming(self.level))
        await self._ask_again(clients, left)

    async def _closed(self, clients: Clients, numbers: Iterator[int]) -> None:
        """Each client asks again as soon as it has its answer."""
        await self._ask_again(clients, self._allowed(numbers))

    async def _ask_again(self, clients: Clients, left: Iterator[int]) -> None:
        async def one() -> None:
            for place in left:
                if self.gone:
                    return
                text = self._prompt(place)
                await self._ask(clients, place, text, self.clock())

        await asyncio.gather(*(one() for _ in range(self.level.concurrency or 1)))

    def _allowed(self, numbers: Iterator[int]) -> Iterator[int]:
        count = self.workload.count(self.level)
        if count:
            yield from itertools.islice(numbers, count)
        while not count and self.clock() - self._start < self.workload.duration:
            yield next(numbers)

    async def _open(self, clients: Clients, numbers: Iterator[int]) -> None:
        """Requests begin when they are due, whether earlier ones are answered or not."""
        count = self.workload.count(self.level)
        asked: list[asyncio.Task[None]] = []
        for at, place in zip(arrivals(self.level.rate, self.workload.seed), numbers, strict=False):
            if (count and len(asked) == count) or (not count and at > self.workload.duration):
                break
            text = self._prompt(place)
            due = self._start + at
            await asyncio.sleep(max(0.0, due - self.clock()))
            if self.gone:
                break
            asked.append(asyncio.create_task(self._ask(clients, place, text, due)))
        await asyncio.gather(*asked)

    def _make_prompts(self) -> None:
        """Make prompts before the first is asked: while one is made, no answer is read."""
        count = self.workload.count(self.level) or _AHEAD
        begin = self.number * _LEVEL
        for number in range(begin, begin + self.workload.warming(self.level) + min(count, _AHEAD)):
            self._prompts[number] = self._prompt(number)

    def _prompt(self, number: int) -> str:
        if made := self._prompts.pop(number, ""):
            return made
        return prompt(self.lengths, self.workload.input_tokens, self.workload.seed, number)

    async def _ask(self, clients: Clients, number: int, text: str, due: float) -> None:
        client = clients.take()
        begun = self.clock()
        times: list[float] = []
        told: int | None = None
        at_least = 0
        parts: list[str] = []
        error = ""
        try:
            wanted, seed = self.workload.output_tokens, self.workload.seed + number
            async for piece in self.asker.stream(client, text, wanted, seed):
                if piece.text:
                    times.append(self.clock())
                    parts.append(piece.text)
                at_least += piece.at_least
                told = piece.tokens if piece.tokens is not None else told
        except FailedError as failed:
            error = str(failed)
            if isinstance(failed, NoConnectionError):
                self.unconnected += 1
                self.gone |= self.unconnected >= GONE
                await asyncio.sleep(_PAUSE)
        else:
            self.unconnected = 0
        finally:
            clients.give_back(client)
        end = self.clock()
        if not error and not times:
            error = "an empty answer"
        # Text alone does not show every token: special ones are left out of it, and several may
        # have become one. No answer is longer than it was asked to be.
        output = told
        if output is None:
            counted = max(self.lengths.of("".join(parts)), at_least)
            output = min(counted, self.workload.output_tokens)
        in_pieces = len(times) > 1 or output < 2
        self.samples.append(
            Sample(
                due - self._start,
                begun - self._start,
                times[0] - self._start if times and in_pieces else None,
                end - self._start,
                self.lengths.of(text),
                output,
                error,
                tuple(after - before for before, after in itertools.pairwise(times)),
            )
        )
        self.heard(self)
