"""One request of a load test: streamed, and timed piece by piece."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from rolecall.errors import RolecallError
from roles.server.client import Sampling, Served, served

if TYPE_CHECKING:
    import httpx

#: Seconds without a byte after which a request counts as failed.
SILENCE = 120.0

#: A token id that no vocabulary has, so that an answer goes on to its full length.
_NEVER = -1


@dataclass(frozen=True)
class Piece:
    """A part of an answer.

    Attributes:
        tokens: of the whole answer, where the server says so at its end.
        at_least: of this part, where the server lists something for each token.
    """

    text: str = ""
    tokens: int | None = None
    at_least: int = 0


class FailedError(Exception):
    """A request that was not answered; the text is short, and the same for the same reason."""


class NoConnectionError(FailedError):
    """There is no connection, or it ended."""


class Asker(Protocol):
    """Asks one kind of API."""

    def stream(
        self, client: httpx.AsyncClient, text: str, tokens: int, seed: int
    ) -> AsyncIterator[Piece]:
        """The pieces of an answer of ``tokens`` tokens, as they come.

        Raises:
            FailedError: there is none.
        """


@dataclass(frozen=True)
class TritonAsker:
    """Triton's ``generate_stream`` of the model that answers whole texts."""

    base_url: str
    model: Served

    @classmethod
    def of(cls, base_url: str) -> TritonAsker:
        """Find out what is served.

        Raises:
            RolecallError: nothing that takes a text, or no server.
        """
        return cls(base_url, served(base_url, stream=False))

    async def stream(
        self, client: httpx.AsyncClient, text: str, tokens: int, seed: int
    ) -> AsyncIterator[Piece]:
        """See :class:`Asker`."""
        known = self.model.inputs
        sampling = Sampling(
            tokens, temperature=0.0, end_id=_NEVER if "end_id" in known else None, pad_id=None
        )
        try:
            body = self.model.body(text, sampling, stream=self.model.decoupled)
        except RolecallError as error:
            raise FailedError(error.message) from error
        url = f"{self.base_url}/v2/models/{self.model.name}/generate_stream"
        before = ""
        async for data in events(client, url, body, {}):
            if "error" in data:
                raise FailedError(_gist(str(data["error"])))
            said = data.get("text_output", "")
            said = str(said[0] if isinstance(said, list) and said else said)
            if self.model.is_llm_api:  # it repeats what it has said so far
                said, before = said.removeprefix(before), said
            yield Piece(said, at_least=_listed(data.get("output_log_probs")))


@dataclass(frozen=True)
class OpenAiAsker:
    """``/v1/completions`` of an OpenAI API. ``key`` may be empty."""

    base_url: str
    model: str
    key: str = field(default="", repr=False)
    ignores_end: bool = True

    async def stream(
        self, client: httpx.AsyncClient, text: str, tokens: int, seed: int
    ) -> AsyncIterator[Piece]:
        """See :class:`Asker`."""
        body: dict[str, Any] = {
            "model": self.model,
            "prompt": text,
            "max_tokens": tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
            **({"ignore_eos": True} if self.ignores_end else {}),
        }
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        async for data in events(client, f"{self.base_url}/completions", body, headers):
            if "error" in data:
                raise FailedError(_message(data["error"]))
            usage = data.get("usage")
            choices = data.get("choices") or [{}]
            yield Piece(
                str(choices[0].get("text") or ""),
                int(usage["completion_tokens"]) if usage else None,
            )


async def events(
    client: httpx.AsyncClient, url: str, body: dict[str, Any], headers: dict[str, str]
) -> AsyncIterator[dict[str, Any]]:
    """The JSON of each event of a stream of server-sent events, up to ``[DONE]``.

    Raises:
        FailedError: the server refuses, goes away, or says what is no such event.
    """
    import httpx

    try:
        async with client.stream("POST", url, json=body, headers=headers) as response:
            if response.status_code != 200:
                said = (await response.aread()).decode("utf-8", "replace")
                raise FailedError(f"{response.status_code} {_reason(said)}")
            async for line in _lines(response):
                text = line.removeprefix(b"data:").strip()
                if not line.startswith(b"data:") or text == b"[DONE]":
                    continue
                try:
                    yield json.loads(text)
                except ValueError:
                    raise FailedError("an event that is no JSON") from None
    except httpx.ConnectError:
        raise NoConnectionError("connection refused") from None
    except httpx.TimeoutException:
        raise FailedError(f"no word for {SILENCE:.0f} s") from None
    except httpx.HTTPError as error:
        raise NoConnectionError(f"connection lost ({type(error).__name__})") from None


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    """The lines of a stream.

    httpx's own ``aiter_lines`` also ends a line at U+0085, U+2028 and U+2029, which stand in an
    event as they are: JSON need not escape them.
    """
    rest = b""
    async for chunk in response.aiter_bytes():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
    if rest:
        yield rest


def _listed(log_probs: Any) -> int:
    """A log probability for each token, or a 0 in its place; one number stands for itself."""
    if log_probs is None:
        return 0
    return len(log_probs) if isinstance(log_probs, list) else 1


def _reason(text: str) -> str:
    try:
        said = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError):
        return _gist(text)
    return _message(said)


def _message(error: Any) -> str:
    return _gist(str(error.get("message", error) if isinstance(error, dict) else error))


def _gist(text: str) -> str:
    return " ".join(text.split())[:120]
