"""A port of a remote host's loopback, reached through an SSH connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import paramiko

#: Seconds within which the other side has to connect to its own loopback.
OPEN_TIMEOUT = 15

#: Clients that may wait for their turn: a load test opens many connections at once.
BACKLOG = 512


@contextmanager
def tunnel(transport: paramiko.Transport, port: int) -> Iterator[tuple[str, int]]:
    """Listen on a free local port and carry each connection to ``port`` over there."""
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        thread = threading.Thread(target=_accept, args=(listener, transport, port), daemon=True)
        thread.start()
        address = listener.getsockname()
        try:
            yield address[0], address[1]
        finally:
            with suppress(OSError):  # closing alone does not wake up who waits in accept
                listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, transport: paramiko.Transport, port: int) -> None:
    while True:
        try:
            client, origin = listener.accept()
        except OSError:
            return
        threading.Thread(target=_carry, args=(client, origin, transport, port), daemon=True).start()


def _carry(
    client: socket.socket, origin: tuple[str, int], transport: paramiko.Transport, port: int
) -> None:
    """Carry one connection both ways until both sides have ended theirs."""
    with client:
        try:
            remote = transport.open_channel(
                "direct-tcpip", ("127.0.0.1", port), origin, timeout=OPEN_TIMEOUT
            )
        except (paramiko.SSHException, OSError, EOFError):
            return
        up = threading.Thread(target=_up, args=(client, remote), daemon=True)
        up.start()
        _down(remote, client)
        up.join()
        _close(remote)


def _up(client: socket.socket, remote: paramiko.Channel) -> None:
    with suppress(OSError, EOFError):
        while data := client.recv(1 << 16):
            remote.sendall(data)
    with suppress(OSError, EOFError):
        remote.shutdown_write()


def _down(remote: paramiko.Channel, client: socket.socket) -> None:
    try:
        while data := remote.recv(1 << 16):
            client.sendall(data)
        client.shutdown(socket.SHUT_WR)
    except (OSError, EOFError):
        # The client is gone, or the connection is: the other direction must not wait on.
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        _close(remote)
        return
    if remote.closed or not remote.active:
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


def _close(remote: paramiko.Channel) -> None:
    with suppress(OSError, EOFError):  # saying goodbye fails where the connection is lost
        remote.close()
