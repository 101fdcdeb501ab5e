"""One forwarded connection, against a double of its websocket.

The double's messages are those of v4.channel.k8s.io: a byte for the channel, and on each channel
first the port's number (Kubernetes, ``kubectl port-forward`` over websockets).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from threading import Event, Thread
from typing import Any

import pytest

from rolecall.cluster import forward as module

PORT = (8080).to_bytes(2, "little")


class _WebSocketDouble:
    """A websocket whose messages are packets of a socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def send(self, data: bytes, opcode: int) -> None:
        self.sock.send(data)

    def recv_data(self) -> tuple[int, bytes]:
        return 2, self.sock.recv(1 << 17)

    def close(self, timeout: float) -> None:
        self.sock.close()


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The client's end, and the pod's."""
    client, inner = socket.socketpair()
    pod, outer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    double: Any = _WebSocketDouble(outer)

    def carry() -> None:
        with inner:
            module._carry(inner, double)

    thread = Thread(target=carry, daemon=True)
    thread.start()
    client.settimeout(10)
    pod.settimeout(10)
    for channel in (b"\0", b"\1"):
        pod.send(channel + PORT)
    yield client, pod
    for end in (client, pod):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
    thread.join(10)
    assert not thread.is_alive()


def test_data_goes_both_ways_without_the_port_s_number(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    client, pod = ends
    client.sendall(b"asked")
    assert pod.recv(100) == b"\0asked"
    pod.send(b"\0answered")
    assert client.recv(100) == b"answered"


def test_an_error_of_the_pod_ends_the_connection(ends: tuple[socket.socket, socket.socket]) -> None:
    client, pod = ends
    pod.send(b"\1connection refused")
    assert client.recv(100) == b""


def test_an_answer_may_take_long_after_the_client_has_said_all(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LAST_WORDS", 0.5)
    client, pod = ends
    client.shutdown(socket.SHUT_WR)
    for number in range(8):  # together longer than the pod may be silent
        pod.send(b"\0%d" % number)
        assert client.recv(100) == b"%d" % number
        Event().wait(0.2)


def test_a_pod_that_stays_silent_then_is_given_up(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LAST_WORDS", 0.2)
    client, _ = ends
    client.shutdown(socket.SHUT_WR)
    assert client.recv(100) == b""
