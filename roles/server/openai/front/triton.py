"""Triton, as the front asks it: what it serves, whether it is ready, and one answer."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any

import aiohttp

from .errors import ApiError, busy, internal, invalid, unavailable
from .served import ENGINE_MODEL, Number, Served

#: Seconds for which what Triton serves is taken to be the same: it takes longer to start.
_KNOWN_FOR = 1.0

#: Seconds without a byte after which a request counts as lost; it may wait long for its turn.
_SILENCE = 600.0

_FULL = re.compile(r"maximum queue size|waiting already|queue is full", re.IGNORECASE)
_TOO_LONG = re.compile(
    r"max_seq_len|max_input_len|maximum input length|exceeds? max", re.IGNORECASE
)
_NOT_THERE = re.compile(r"unknown model|is not ready")
_CALM = aiohttp.ClientTimeout(total=10.0)


class Triton:
    """A server and the model in it. To be used inside an event loop, and closed.

    Args:
        url: of its HTTP API.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_SILENCE),
        )
        self._served: Served | None = None
        self._until = 0.0
        self._stopping: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Close the connections, once every request that has to be stopped is told so."""
        if self._stopping:
            await asyncio.wait(self._stopping, timeout=5)
        await self._session.close()

    async def is_ready(self) -> bool:
        """Whether it says that every model can answer."""
        with suppress(aiohttp.ClientError, TimeoutError, asyncio.TimeoutError):
            async with self._session.get(f"{self._url}/v2/health/ready", timeout=_CALM) as response:
                return response.status == 200
        return False

    async def served(self) -> Served:
        """The model, as it is asked.

        Raises:
            ApiError: 503, when it is not there.
        """
        if self._served is None or time.monotonic() >= self._until:
            self._served = None
            config = await self._config(ENGINE_MODEL)
            if not config:
                raise unavailable("the model is not ready")
            found = Served.of(config, await self._config("preprocessing"))
            if not found.takes_tokens and not found.takes_text:
                raise unavailable(f"the model {ENGINE_MODEL} takes neither tokens nor text")
            self._served, self._until = found, time.monotonic() + _KNOWN_FOR
        return self._served

    async def answer(
        self,
        model: Served,
        prompt: str | Sequence[int],
        options: Mapping[str, Number],
        identity: str,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The pieces of an answer as they come, or the one that it is.

        Whoever stops reading closes it (``aclosing``), and the request ends in Triton: by
        hanging up on a stream; on a model that answers whole, which does not notice, by a
        second request.

        Raises:
            ApiError: the request was refused, or the server has gone.
        """
        body = model.body(prompt, options, identity)
        way = "generate_stream" if model.decoupled else "generate"
        whole = False
        try:
            async with self._session.post(
                f"{self._url}/v2/models/{ENGINE_MODEL}/{way}", json=body
            ) as response:
                try:
                    if response.status != 200:
                        raise refused(response.status, await response.text())
                    if model.decoupled:
                        async with aclosing(_events(response)) as events:
                            async for event in events:
                                yield event
                    else:
                        yield json.loads(await response.read())
                    whole = True
                finally:
                    if not whole:
                        response.close()
        except (aiohttp.ClientError, asyncio.TimeoutError, TimeoutError) as error:
            self._served = None
            raise unavailable("the server that runs the model does not answer") from error
        finally:
            if not whole and not model.decoupled:
                self._stop(model, identity)

    def _stop(self, model: Served, identity: str) -> None:
        task = asyncio.get_running_loop().create_task(self._tell(model.stop(identity)))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    async def _tell(self, body: Mapping[str, Any]) -> None:
        url = f"{self._url}/v2/models/{ENGINE_MODEL}/generate"
        with suppress(aiohttp.ClientError, asyncio.TimeoutError, TimeoutError):
            async with self._session.post(url, json=body, timeout=_CALM) as response:
                await response.read()

    async def _config(self, model: str) -> dict[str, Any]:
        """A model's configuration; empty where it is not there."""
        try:
            url = f"{self._url}/v2/models/{model}/config"
            async with self._session.get(url, timeout=_CALM) as response:
                return dict(await response.json()) if response.status == 200 else {}
        except (aiohttp.ClientError, asyncio.TimeoutError, TimeoutError) as error:
            raise unavailable("the server that runs the model does not answer") from error


async def _events(response: aiohttp.ClientResponse) -> AsyncGenerator[dict[str, Any], None]:
    """The events of a stream. A line may be of any length."""
    held = b""
    async for chunk in response.content.iter_any():
        *lines, held = (held + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                event = json.loads(line.removeprefix(b"data:"))
                if "error" in event:
                    raise refused(500, str(event["error"]))
                yield event


def refused(status: int, text: str) -> ApiError:
    """What Triton's error means for the client."""
    with suppress(ValueError, AttributeError):
        # A stream that is refused at once is one event with another status.
        text = json.loads(text.removeprefix("data:")).get("error", text)
    if _FULL.search(text):
        return busy(f"too many requests wait already: {text}")
    if _TOO_LONG.search(text):
        return invalid(text, code="context_length_exceeded")
    if status in (404, 503) or _NOT_THERE.search(text):
        return unavailable(text)
    return invalid(text) if status == 400 else internal(text)
