"""A port of a pod, reached through the API: each connection is a websocket of its own.

The protocol is that of ``kubectl port-forward`` over websockets (v4.channel.k8s.io): channel 0
carries data, channel 1 what went wrong, and each begins with the port's number.
"""

from __future__ import annotations

import select
import socket
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

#: Seconds for which a pod may be silent once the client has said all that it will.
LAST_WORDS = 120.0

_DATA, _ERROR = 0, 1


@contextmanager
def forward(wire: Wire, pod: Ref, port: int) -> Iterator[tuple[str, int]]:
    """Listen on a free local port and carry each connection to ``port`` of ``pod``.

    Raises:
        RolecallError: the cluster refuses it, or the pod is gone.
    """

    def connect() -> WebSocket:
        address = f"{path(pod, 'portforward')}?ports={port}"
        return websocket(wire, address, pod, "forward a port of")

    first = [connect()]  # what is refused is refused at once
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=carry, args=(client,), daemon=True).start()

        def carry(client: socket.socket) -> None:
            with client, suppress(RolecallError):
                try:
                    remote = first.pop()
                except IndexError:
                    remote = connect()
                _carry(client, remote)

        threading.Thread(target=accept, daemon=True).start()
        name, local = listener.getsockname()
        try:
            yield name, local
        finally:
            with suppress(OSError):  # closing alone does not wake up who waits in accept
                listener.shutdown(socket.SHUT_RDWR)
            for unused in first:
                unused.close()


def _carry(client: socket.socket, remote: WebSocket) -> None:
    """Carry both ways until the pod has closed its side, or the client is gone.

    One thread does both: Python's TLS sockets may not be read and written at the same time.
    """
    from websocket import ABNF, WebSocketException

    client.settimeout(None)
    poll = select.poll()
    poll.register(client, select.POLLIN)
    line = remote.sock
    assert line is not None
    poll.register(line, select.POLLIN)
    begun: set[int] = set()
    ends = 0.0
    with suppress(OSError, WebSocketException):
        while not ends or time.monotonic() < ends:
            waits = getattr(line, "pending", lambda: 0)()
            ready = {fd for fd, _ in poll.poll(0 if waits else 1000)}
            if client.fileno() in ready and not ends:
                if data := client.recv(1 << 16):
                    remote.send(bytes([_DATA]) + data, ABNF.OPCODE_BINARY)
                else:
                    ends = time.monotonic() + LAST_WORDS
                    poll.unregister(client)
            if waits or line.fileno() in ready:
                said = remote.recv_data()[1]
                ends = ends and time.monotonic() + LAST_WORDS
                if not said or (said[0] == _ERROR and _ERROR in begun):
                    break
                if said[0] in begun:
                    client.sendall(said[1:])
                begun.add(said[0])
    with suppress(OSError, WebSocketException):
        remote.close(timeout=1)
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
