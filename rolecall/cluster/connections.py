"""Connections to an API server that are kept open: as much of HTTP as plain requests need.

The official client's transport would take longer to import than all requests of a run without
changes take.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPSConnection
from queue import Empty, LifoQueue
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from ssl import SSLContext

#: Seconds for a connection, and for an answer.
CONNECT, ANSWER = 10.0, 60.0


#: Asks: method, path with query, body, headers; returns status and content. Raises ``OSError`` or
#: ``HTTPException`` where there is no answer.
Exchange: TypeAlias = Callable[[str, str, "bytes | None", Mapping[str, str]], "tuple[int, bytes]"]


class Connections:
    """Connections to one server; threads share them, and each has one to itself for a request."""

    def __init__(self, server: str, trust: SSLContext | None) -> None:
        """``trust`` None is a server without TLS. Nothing is opened yet."""
        parts = urlsplit(server)
        self._host, self._port = parts.hostname or "", parts.port
        self._prefix = parts.path.rstrip("/")
        self._trust = trust
        self._idle: LifoQueue[HTTPConnection] = LifoQueue()

    def request(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Status and content of the answer.

        Raises:
            OSError, HTTPException: there is none.
        """
        connection = self._take()
        try:
            connection.request(method, f"{self._prefix}{target}", body, dict(headers))
            answer = connection.getresponse()
            said = answer.status, answer.read()
        except BaseException:
            connection.close()
            raise
        if not answer.will_close:
            self._idle.put(connection)
        return said

    def _take(self) -> HTTPConnection:
        with suppress(Empty):
            while True:
                connection = self._idle.get_nowait()
                if connection.sock and not _has_ended(connection):
                    return connection
                connection.close()
        return self._new()

    def _new(self) -> HTTPConnection:
        connection = (
            HTTPSConnection(self._host, self._port, timeout=CONNECT, context=self._trust)
            if self._trust
            else HTTPConnection(self._host, self._port, timeout=CONNECT)
        )
        connection.connect()
        connection.sock.settimeout(ANSWER)
        return connection


def _has_ended(connection: HTTPConnection) -> bool:
    """Whether the server has closed it meanwhile: it says nothing else that was not asked for."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
