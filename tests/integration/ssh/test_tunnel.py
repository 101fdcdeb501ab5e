"""A port of the host's loopback, through the connection."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.rig.sshd import Sshd, free_port


@contextmanager
def serving(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port whose every connection is handled by ``talk``."""

    def handle(connection: socket.socket) -> None:
        with connection:
            talk(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=200) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def everything(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


@pytest.fixture
def forward(sshd: Sshd) -> Iterator[Callable[[int], object]]:
    target = sshd.target()
    yield target.forward
    target.disconnect()


def dial(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, 20)


def test_the_client_may_end_its_side_first_and_still_hear_the_answer(forward) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"heard " + everything(connection))

    with serving(answer) as port, forward(port) as address, dial(address) as client:
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        assert everything(client) == b"heard hello"


def test_the_server_may_end_its_side_first_and_still_hear_the_client(forward) -> None:
    heard: list[bytes] = []
    done = threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"bye")
        connection.shutdown(socket.SHUT_WR)
        heard.append(everything(connection))
        done.set()

    with serving(talk) as port, forward(port) as address, dial(address) as client:
        assert everything(client) == b"bye"
        client.sendall(b"but listen")
        client.shutdown(socket.SHUT_WR)
        assert done.wait(10)
        assert heard == [b"but listen"]


def test_a_server_that_closes_ends_the_clients_connection(forward) -> None:
    talk = lambda connection: connection.sendall(b"once")  # noqa: E731
    with serving(talk) as port, forward(port) as address, dial(address) as client:
        assert everything(client) == b"once"


def test_much_data_passes_both_ways_at_once(forward) -> None:
    data = os.urandom(1 << 20) * 8

    def echo(connection: socket.socket) -> None:
        while block := connection.recv(1 << 16):
            connection.sendall(block)
        connection.shutdown(socket.SHUT_WR)

    with serving(echo) as port, forward(port) as address, dial(address) as client:

        def send() -> None:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)

        threading.Thread(target=send, daemon=True).start()
        digest = hashlib.sha256(everything(client)).digest()
    assert digest == hashlib.sha256(data).digest()


def test_many_connections_at_once(forward) -> None:
    together = threading.Barrier(60, timeout=20)

    def answer(connection: socket.socket) -> None:
        together.wait()  # all of them are open
        connection.sendall(connection.recv(100))

    with serving(answer) as port, forward(port) as address:

        def ask(number: int) -> bytes:
            with dial(address) as client:
                client.sendall(b"%d" % number)
                return everything(client)

        with ThreadPoolExecutor(60) as pool:
            assert list(pool.map(ask, range(60))) == [b"%d" % number for number in range(60)]


def test_a_port_where_nobody_listens_ends_the_connection_and_no_other(forward) -> None:
    with forward(free_port()) as address:
        for _ in range(2):
            with dial(address) as client:
                assert everything(client) == b""


def test_the_local_port_is_closed_afterwards_even_after_an_error(forward) -> None:
    with pytest.raises(ZeroDivisionError), forward(free_port()) as address:
        raise ZeroDivisionError
    with pytest.raises(OSError):  # noqa: PT011 - any of them will do
        dial(address)


def test_a_lost_connection_ends_what_was_carried(own_sshd: Sshd) -> None:
    target = own_sshd.target()
    talk = lambda connection: connection.sendall(connection.recv(1) * 3)  # noqa: E731
    with serving(talk) as port, target.forward(port) as address, dial(address) as client:
        own_sshd.cut()
        client.settimeout(10)
        assert everything(client) == b""
    target.disconnect()
