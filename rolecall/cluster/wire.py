"""Requests to an API server."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlencode

from rolecall.cluster.connections import CONNECT
from rolecall.cluster.kubeconfig import Access
from rolecall.errors import ConfigError, UnreachableError

if TYPE_CHECKING:
    from urllib3 import PoolManager

#: Seconds before each further attempt at what may be asked twice.
PAUSES = (0.2, 0.6, 1.5)

#: What a server answers that is busy or being replaced.
_BUSY = frozenset({429, 502, 503, 504})

USER_AGENT = "rolecall"

#: The content type of requests and answers, unless another is said.
JSON = "application/json"


#: The part of an address behind the question mark.
Query: TypeAlias = Sequence[tuple[str, str]] | Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """A status, and what came with it."""

    status: int
    said: dict[str, Any]


class Wire:
    """One API server, with its connections kept open; threads share it."""

    def __init__(self, access: Access, context: str) -> None:
        self.server = access.server
        self._access = access
        self._context = context
        try:
            self._exchange = access.exchange()
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"context {context}: its certificates cannot be used: {error}",
                "get a new kubeconfig from whoever runs the cluster",
            ) from error
        self._credentials = threading.Lock()

    def headers(self) -> dict[str, str]:
        """Those of every request; credentials that have expired are renewed here."""
        headers = {"User-Agent": USER_AGENT, "Accept": JSON}
        with self._credentials:
            return {**headers, **self._access.headers()}

    @cached_property
    def _pool(self) -> PoolManager:
        return self._access.pool()

    @cached_property
    def configuration(self) -> Any:
        """The official client's, for what only that can do."""
        return self._access.configuration()

    def request(
        self,
        method: str,
        path: str,
        query: Query = (),
        body: Any = None,
        content: str = JSON,
        *,
        again: bool = True,
        accept: str = JSON,
    ) -> Answer:
        """Ask, up to four times where ``again`` allows that and the server is busy or away.

        Raises:
            UnreachableError: the server does not answer.
        """
        data = None if body is None else json.dumps(body).encode()
        pauses = list(PAUSES) if again else []
        while True:
            headers = {**self.headers(), "Accept": accept}
            if data is not None:
                headers["Content-Type"] = content
            try:
                status, text = self._exchange(method, _target(path, query), data, headers)
            except (OSError, HTTPException) as error:
                if not pauses:
                    raise self.unreachable(error) from error
            else:
                if status not in _BUSY or not pauses:
                    return self._answer(status, text)
            time.sleep(pauses.pop(0) * random.uniform(0.8, 1.2))

    def _answer(self, status: int, text: bytes) -> Answer:
        try:
            said = json.loads(text)
        except ValueError:
            said = text[:300].decode("utf-8", "replace")
        if isinstance(said, dict):
            return Answer(status, said)
        if status < 300:
            raise UnreachableError(
                f"{self.server} (context {self._context}) is no API server of Kubernetes: it says "
                f"{' '.join(str(said).split())[:80]!r}",
                "correct the server in the kubeconfig; a proxy or a login page may stand before it",
            )
        return Answer(status, {"message": f"{status} {said}".strip()})

    def stream(self, path: str, query: Query) -> Any:
        """The answer to a GET that is read, and closed, by the caller.

        Raises:
            UnreachableError: the server does not answer.
        """
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        try:
            return self._pool.request(
                "GET",
                f"{self.server}{_target(path, query)}",
                headers=self.headers(),
                preload_content=False,
                retries=False,
                timeout=Timeout(connect=CONNECT, read=None),
            )
        except HTTPError as error:
            raise self.unreachable(error) from error

    def unreachable(self, error: Exception) -> UnreachableError:
        """What is wrong on the way, in words a user can act on."""
        where = f"the cluster of context {self._context} ({self.server})"
        text = _innermost(error)
        if "CERTIFICATE_VERIFY_FAILED" in text or "certificate" in text:
            return UnreachableError(
                f"{where} shows a certificate that the kubeconfig's authority has not signed, or "
                f"that has expired: {text}",
                "get a new kubeconfig from whoever runs the cluster",
            )
        if "refused" in text:
            return UnreachableError(f"{where} refuses connections", "is it running?")
        if "resolve" in text or "Name or service" in text:
            return UnreachableError(
                f"no address is known for {where}", "are you in the right network, or VPN?"
            )
        if "timed out" in text:
            return UnreachableError(
                f"{where} did not answer in time", "are you in the right network, or VPN?"
            )
        return UnreachableError(f"{where} cannot be reached: {text}", "kubectl version tells more")


def _target(path: str, query: Query) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _innermost(error: BaseException) -> str:
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return " ".join(str(error).split()) or type(error).__name__
