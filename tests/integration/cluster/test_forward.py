"""Forwarded ports, through a double of the API server's websockets, to a real HTTP server."""

from __future__ import annotations

import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rolecall.cluster import forward as module
from rolecall.cluster.api import Api
from rolecall.cluster.errors import Forbidden, NotFound
from tests.integration.cluster.portforward_double import PortforwardDouble, portforward_double

MANY = 64
LARGE = 8 << 20


class _Pod(BaseHTTPRequestHandler):
    """What a server in a pod does: answers, streams, echoes, floods, or stays silent."""

    protocol_version = "HTTP/1.1"
    go_on: threading.Event
    hung_up: threading.Event
    sent: list[int]

    def do_GET(self) -> None:
        if self.path == "/hello":
            time.sleep(0.05)  # so that connections are there at once
            self._begin(5)
            self.wfile.write(b"hello")
        elif self.path == "/stream":
            self._begin(10)
            self.wfile.write(b"first")
            assert self.go_on.wait(10)
            self.wfile.write(b"later")
        elif self.path == "/flood":
            self._begin(1 << 40)
            with suppress(OSError):
                while True:
                    self.sent.append(self.connection.send(bytes(1 << 16)))
            self.hung_up.set()
            self.close_connection = True

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        if self.path == "/stuck":
            self.go_on.wait(10)
            self.close_connection = True
            return
        self._begin(size)
        while size:
            data = self.rfile.read1(min(size, 1 << 16))
            self.wfile.write(data)
            size -= len(data)

    def _begin(self, size: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients hang up here on purpose."""


@pytest.fixture
def pod() -> Iterator[Any]:
    """The class of its handlers, and ``port``."""
    marks = {"go_on": threading.Event(), "hung_up": threading.Event(), "sent": []}
    handler: Any = type("Handler", (_Pod,), marks)
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        handler.port = server.server_port
        yield handler
        handler.go_on.set()
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module", params=["https", "http"])
def parts(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[PortforwardDouble, Api]]:
    folder = tmp_path_factory.mktemp("double")
    with portforward_double(folder, tls=request.param == "https") as (double, kubeconfig):
        yield double, Api("double", str(kubeconfig), "space", folder)


@pytest.fixture
def double(parts: tuple[PortforwardDouble, Api]) -> Iterator[PortforwardDouble]:
    double, _ = parts
    double.opened, double.refuses = 0, None
    double.pongs.clear()
    yield double
    wait(lambda: double.open == 0, "connections stay open")


@pytest.fixture
def opened(
    parts: tuple[PortforwardDouble, Api], double: PortforwardDouble, pod: Any
) -> Callable[[], AbstractContextManager[tuple[str, int]]]:
    return lambda: parts[1].forward("space", "one", pod.port)


Opened = Callable[[], AbstractContextManager[tuple[str, int]]]


def get(address: tuple[str, int], path: str) -> bytes:
    with urllib.request.urlopen("http://{}:{}{}".format(*address, path), timeout=20) as answer:
        return bytes(answer.read())


def wait(check: Callable[[], bool], message: str, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, message
        time.sleep(0.005)


def ask(address: tuple[str, int], path: str) -> socket.socket:
    """A connection over which something has been asked for."""
    client = socket.create_connection(address, timeout=10)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: pod\r\n\r\n".encode())
    return client


def read_until(client: socket.socket, end: bytes) -> bytes:
    said = b""
    while not said.endswith(end):
        data = client.recv(1 << 16)
        assert data, said
        said += data
    return said


def test_many_connections_are_carried_at_once(opened: Opened, double: PortforwardDouble) -> None:
    together = threading.Barrier(MANY)

    def one(_: int) -> bytes:
        together.wait(10)
        return get(address, "/hello")

    with opened() as address, ThreadPoolExecutor(MANY) as threads:
        assert list(threads.map(one, range(MANY))) == [b"hello"] * MANY
        assert double.opened == MANY  # the one that was tried first is used
    wait(lambda: len(double.pongs) >= MANY, "pings are not answered")
    assert set(double.pongs) == {b"there?"}


def test_an_answer_arrives_as_it_is_said(opened: Opened, pod: Any) -> None:
    with opened() as address, ask(address, "/stream") as client:
        assert read_until(client, b"first")
        pod.go_on.set()
        assert read_until(client, b"later")


def test_much_goes_both_ways_at_once(opened: Opened) -> None:
    data = bytes(range(256)) * (LARGE >> 8)
    head = f"POST /echo HTTP/1.1\r\nHost: pod\r\nContent-Length: {LARGE}\r\n\r\n"
    with opened() as address, socket.create_connection(address, timeout=20) as client:
        client.sendall(head.encode())
        threading.Thread(target=client.sendall, args=(data,), daemon=True).start()
        answer = client.makefile("rb")
        while answer.readline().strip():
            pass
        assert answer.read(LARGE) == data


def test_a_client_that_does_not_read_makes_the_pod_wait(opened: Opened, pod: Any) -> None:
    with opened() as address, ask(address, "/flood"):
        wait(lambda: bool(pod.sent), "nothing is sent")
        settled(lambda: sum(pod.sent))
    assert pod.hung_up.wait(5)


def test_a_pod_that_does_not_read_makes_the_client_wait(opened: Opened) -> None:
    sent: list[int] = []
    with opened() as address, socket.create_connection(address) as client:
        client.sendall(b"POST /stuck HTTP/1.1\r\nHost: pod\r\nContent-Length: 1073741824\r\n\r\n")

        def send() -> None:
            with suppress(OSError):
                while True:
                    sent.append(client.send(bytes(1 << 16)))

        threading.Thread(target=send, daemon=True).start()
        settled(lambda: sum(sent))


def settled(count: Callable[[], int]) -> None:
    """Wait until nothing more is sent, which has to be before buffers would be large."""
    before = -1
    while (now := count()) != before:
        assert now < 64 << 20
        before = now
        time.sleep(0.25)


def test_a_client_that_hangs_up_is_told_to_the_pod(
    opened: Opened, pod: Any, double: PortforwardDouble
) -> None:
    with opened() as address:
        with ask(address, "/flood") as client:
            client.recv(100)
        assert pod.hung_up.wait(5)
        wait(lambda: double.open == 0, "the websocket stays open")


def test_what_is_open_ends_with_the_context(opened: Opened, double: PortforwardDouble) -> None:
    with opened() as address:
        client = ask(address, "/stream")
        read_until(client, b"first")
    with client:
        assert client.recv(100) == b""
    wait(lambda: double.open == 0, "the websocket stays open")
    with pytest.raises(OSError):  # noqa: PT011 - whichever it is
        socket.create_connection(address, timeout=1).close()


def test_an_answer_may_take_long_after_the_client_has_said_all(
    opened: Opened, pod: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LAST_WORDS", 5.0)
    with opened() as address, ask(address, "/stream") as client:
        client.shutdown(socket.SHUT_WR)
        read_until(client, b"first")
        time.sleep(0.1)
        pod.go_on.set()
        assert read_until(client, b"later")


def test_a_pod_that_stays_silent_then_is_given_up(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LAST_WORDS", 0.2)
    with opened() as address, ask(address, "/stream") as client:
        client.shutdown(socket.SHUT_WR)
        read_until(client, b"first")
        assert client.recv(100) == b""


def test_a_port_that_nobody_listens_on_ends_the_connection(
    parts: tuple[PortforwardDouble, Api], double: PortforwardDouble
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with parts[1].forward("space", "one", port) as address:
        for _ in range(2):  # the one that was tried first, and one of its own
            with socket.create_connection(address, timeout=10) as client:
                assert client.recv(100) == b""


def test_the_connection_that_was_tried_first_is_not_used_when_it_is_old(
    opened: Opened, double: PortforwardDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FRESH", 0.0)
    with opened() as address:
        assert get(address, "/hello") == b"hello"
        assert double.opened == 2


def test_one_that_nobody_used_is_closed(opened: Opened, double: PortforwardDouble) -> None:
    with opened():
        wait(lambda: double.open == 1, "nothing was tried")
    wait(lambda: double.open == 0, "the websocket stays open")


def test_what_is_refused_is_refused_at_once(opened: Opened, double: PortforwardDouble) -> None:
    said = 'pods "one" is forbidden: User "u" cannot create resource "pods/portforward"'
    double.refuses = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": said}
    begun = time.monotonic()
    with pytest.raises(Forbidden, match="pods/portforward"), opened():
        pass
    assert time.monotonic() - begun < 2


def test_a_pod_that_is_gone_is_told(opened: Opened, double: PortforwardDouble) -> None:
    details = {"name": "one", "kind": "pods"}
    said = 'pods "one" not found'
    double.refuses = {"kind": "Status", "code": 404, "message": said, "details": details}
    with pytest.raises(NotFound, match="Pod/one"), opened():
        pass


def test_connections_that_are_refused_later_end(opened: Opened, double: PortforwardDouble) -> None:
    with opened() as address:
        assert get(address, "/hello") == b"hello"
        double.refuses = {"kind": "Status", "code": 403, "message": "no more"}
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            get(address, "/hello")


def test_the_double_notices_what_no_server_would_take(tmp_path: Path) -> None:
    def ask_for_something_else() -> None:
        with portforward_double(tmp_path, tls=False) as (double, _), suppress(OSError):
            urllib.request.urlopen(f"{double.url}/else", timeout=5)

    with pytest.raises(AssertionError, match="GET /else"):
        ask_for_something_else()
