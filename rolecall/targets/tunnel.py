"""A port of a remote host's loopback, reached through an SSH connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import paramiko


@contextmanager
def tunnel(transport: paramiko.Transport, port: int) -> Iterator[tuple[str, int]]:
    """Listen on a free local port and carry each connection to ``port`` over there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_accept, args=(listener, transport, port), daemon=True)
        thread.start()
        address = listener.getsockname()
        yield address[0], address[1]
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, transport: paramiko.Transport, port: int) -> None:
    while True:
        try:
            client, origin = listener.accept()
        except OSError:
            return
        try:
            remote = transport.open_channel("direct-tcpip", ("127.0.0.1", port), origin)
        except (paramiko.SSHException, EOFError):
            client.close()
            continue
        for source, sink in ((client, remote), (remote, client)):
            threading.Thread(target=_carry, args=(source, sink), daemon=True).start()


def _carry(
    source: socket.socket | paramiko.Channel, sink: socket.socket | paramiko.Channel
) -> None:
    with suppress(OSError, EOFError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with suppress(OSError, EOFError):
        sink.shutdown(socket.SHUT_WR) if isinstance(sink, socket.socket) else sink.shutdown_write()
    if isinstance(source, socket.socket):
        return
    with suppress(OSError):
        source.close()
