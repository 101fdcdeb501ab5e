"""Connections that are kept open, against a real server of HTTP on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rolecall.cluster.connections import Connections


class _Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked; counts connections, and ends them as it is told."""

    protocol_version = "HTTP/1.1"
    opened = 0
    closes_silently = False

    def setup(self) -> None:
        type(self).opened += 1
        super().setup()

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = f"{self.path} {self.headers.get('X-Who')} {body.decode()}".encode()
        self.send_response(201)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.close_connection = self.closes_silently  # which no header of the answer says

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def handler() -> type[_Echo]:
    return type("Handler", (_Echo,), {})


@pytest.fixture
def server(handler: type[_Echo]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        serving.daemon_threads = True
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


def test_a_request_goes_below_the_path_that_the_server_s_address_has(server: str) -> None:
    connections = Connections(f"{server}/clusters/one/", None)
    answer = connections.request("PUT", "/api?x=1", b"body", {"X-Who": "me"})
    assert answer == (201, b"/clusters/one/api?x=1 me body")


def test_a_connection_serves_one_request_after_the_other(server: str, handler: type[_Echo]) -> None:
    connections = Connections(server, None)
    for _ in range(5):
        connections.request("PUT", "/", None, {})
    assert handler.opened == 1


def test_threads_never_share_a_connection_at_a_time(server: str) -> None:
    connections = Connections(server, None)
    asked = [f"/{number}" for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda path: connections.request("PUT", path, b"", {}), asked))
    assert [text.split()[0].decode() for _, text in said] == asked


def test_one_that_the_server_has_closed_meanwhile_is_replaced(
    server: str, handler: type[_Echo]
) -> None:
    handler.closes_silently = True
    connections = Connections(server, None)
    for _ in range(3):
        assert connections.request("PUT", "/", None, {})[0] == 201
        threading.Event().wait(0.05)
    assert handler.opened == 3


def test_no_answer_is_an_error_of_the_system() -> None:
    gone = Connections("http://127.0.0.1:1", None)
    with pytest.raises(OSError, match="refused"):
        gone.request("GET", "/", None, {})
