"""A port of a pod, reached through the API: each connection is a websocket of its own.

The protocol is that of port forwarding over websockets (v4.channel.k8s.io; Kubernetes 1.34,
kubelet/pkg/cri/streaming/portforward/websocket.go): channel 0 carries data, channel 1 what went
wrong, and each begins with the port's number.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rolecall.cluster.objects import Ref
from rolecall.cluster.streams import path, websocket
from rolecall.cluster.wire import Wire
from rolecall.errors import RolecallError

if TYPE_CHECKING:
    from websocket import WebSocket

#: Clients that may wait for their turn: a load test opens many connections at once.
BACKLOG = 512

#: Seconds for which the connection that was tried first may wait for a client: a server in the pod
#: may hang up on one that says nothing.
FRESH = 5.0

#: Seconds for which a pod may be silent once the client has said all that it will.
LAST_WORDS = 120.0

#: Bytes that may wait for the slower side before the other one has to wait, too.
AHEAD = 1 << 18

#: Bytes of one message.
PIECE = 1 << 16

_DATA, _ERROR = 0, 1

#: A socket that does not block has nothing to give now, or no room.
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@contextmanager
def forward(wire: Wire, pod: Ref, port: int) -> Iterator[tuple[str, int]]:
    """Listen on a free local port and carry each connection to ``port`` of ``pod``.

    Connections end with the context.

    Raises:
        RolecallError: the cluster refuses it, or the pod is gone.
    """

    def connect() -> WebSocket:
        address = f"{path(pod, 'portforward')}?ports={port}"
        return websocket(wire, address, pod, "forward a port of")

    first = [(connect(), time.monotonic())]  # what is refused is refused at once
    clients: set[socket.socket] = set()
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                clients.add(client)
                threading.Thread(target=carry, args=(client,), daemon=True).start()

        def carry(client: socket.socket) -> None:
            with client, suppress(RolecallError):
                _Carriage(client, remote()).run()
            clients.discard(client)

        def remote() -> WebSocket:
            with suppress(IndexError):
                tried, when = first.pop()
                if time.monotonic() - when < FRESH:
                    return tried
                tried.close(timeout=0)
            return connect()

        threading.Thread(target=accept, daemon=True).start()
        name, local = listener.getsockname()
        try:
            yield name, local
        finally:
            for one in (listener, *clients):  # closing alone does not wake up who waits for them
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            for unused, _ in first:
                unused.close(timeout=0)


class _Carriage:
    """Carries both ways until the pod has closed its side, or the client is gone.

    One thread does both, and waits for neither side alone: Python's TLS sockets may not be read
    and written at the same time, and a pod that answers while it is still being told something
    would wait for us as we for it.
    """

    def __init__(self, client: socket.socket, remote: WebSocket) -> None:
        assert remote.sock is not None
        self._client, self._remote, self._line = client, remote, remote.sock
        self._to_pod, self._to_client = bytearray(), bytearray()
        self._channel = _DATA
        self._begun: set[int] = set()
        self._pod_has_ended = False
        self._ends: float | None = None

    def run(self) -> None:
        """Carry to the end, and close the websocket."""
        from websocket import WebSocketException

        for one in (self._client, self._line):
            one.setblocking(False)
        with suppress(OSError, WebSocketException):
            while self._step():
                pass
        with suppress(OSError, WebSocketException):
            if not self._to_pod:  # else it would stand in the middle of a message
                self._line.settimeout(1)
                self._remote.send_close()
        self._line.close()
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)

    def _step(self) -> bool:
        """Wait until something can be carried, and carry it; False at the end."""
        listens = not self._pod_has_ended and len(self._to_client) < AHEAD
        waits = listens and getattr(self._line, "pending", lambda: 0)() > 0
        client, line = self._poll(listens, 0.0 if waits else self._patience())
        if client & (select.POLLERR | select.POLLHUP) or self._patience() == 0:
            return False
        if client & select.POLLIN:
            self._hear_client()
        if listens and (waits or line & ~select.POLLOUT):
            self._hear_pod()
        if self._to_client:
            _send(self._client, self._to_client)
        if self._to_pod and not self._pod_has_ended:
            _send(self._line, self._to_pod)
        return bool(self._to_client) or not self._pod_has_ended

    def _poll(self, listens: bool, seconds: float | None) -> tuple[int, int]:
        """What is up with the client and with the line."""
        asks = self._ends is None and not self._pod_has_ended and len(self._to_pod) < AHEAD
        line = select.POLLIN * listens
        line |= select.POLLOUT * bool(self._to_pod and not self._pod_has_ended)
        poll = select.poll()
        poll.register(self._client, select.POLLIN * asks | select.POLLOUT * bool(self._to_client))
        if line:  # else a line that is gone would be told again and again
            poll.register(self._line, line)
        told = dict(poll.poll(None if seconds is None else seconds * 1000))
        return told.get(self._client.fileno(), 0), told.get(self._line.fileno(), 0)

    def _patience(self) -> float | None:
        """Seconds for which the pod may still be silent."""
        return None if self._ends is None else max(0.0, self._ends - time.monotonic())

    def _hear_client(self) -> None:
        from websocket import ABNF

        try:
            data = self._client.recv(PIECE)
        except _NOT_NOW:
            return
        if data:
            self._tell_pod(bytes([_DATA]) + data, ABNF.OPCODE_BINARY)
        else:
            self._ends = time.monotonic() + LAST_WORDS

    def _tell_pod(self, data: bytes, kind: int) -> None:
        from websocket import ABNF

        self._to_pod += ABNF.create_frame(data, kind).format()

    def _hear_pod(self) -> None:
        from websocket import ABNF, WebSocketConnectionClosedException

        try:
            frame = self._remote.recv_frame()  # type: ignore[no-untyped-call]
        except _NOT_NOW:
            return
        except (WebSocketConnectionClosedException, OSError):
            self._pod_has_ended = True
            return
        data = bytes(frame.data)
        if self._ends is not None:
            self._ends = time.monotonic() + LAST_WORDS
        if frame.opcode == ABNF.OPCODE_CLOSE:
            self._pod_has_ended = True
        elif frame.opcode == ABNF.OPCODE_PING:
            self._tell_pod(data, ABNF.OPCODE_PONG)
        elif frame.opcode == ABNF.OPCODE_CONT:
            self._take(self._channel, data)
        elif frame.opcode in (ABNF.OPCODE_BINARY, ABNF.OPCODE_TEXT) and data:
            self._channel = data[0]
            self._take(data[0], data[1:])

    def _take(self, channel: int, data: bytes) -> None:
        if channel not in self._begun:
            self._begun.add(channel)  # the port's number
        elif channel == _DATA:
            self._to_client += data
        elif data:
            self._pod_has_ended = True


def _send(line: socket.socket, data: bytearray) -> None:
    """Send as much as there is room for."""
    with suppress(*_NOT_NOW):
        del data[: line.send(data)]
