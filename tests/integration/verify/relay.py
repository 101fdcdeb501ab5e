"""A relay in front of a real server, which answers some requests itself, as a broken one would."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

#: What becomes of an answer: its status and content.
Change = Callable[[int, bytes], tuple[int, bytes]]

#: An answer that the server is not asked for.
Made = Callable[[], bytes]


@dataclass
class Relay:
    """Where it is, and what it answers itself.

    Attributes:
        changes: of which answers, by the end of the path.
        instead: its own answers, by the end of the path.
    """

    port: int
    changes: dict[str, Change] = field(default_factory=dict)
    instead: dict[str, Made] = field(default_factory=dict)


@contextmanager
def relay(server: str) -> Iterator[Relay]:
    """A relay to the base URL ``server``, on a free port of loopback."""
    made = Relay(0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._relay(b"")

        def do_POST(self) -> None:
            self._relay(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

        def _relay(self, body: bytes) -> None:
            status, kind = 200, "application/json"
            for path, made_up in made.instead.items():
                if self.path.endswith(path):
                    content = made_up()
                    break
            else:
                answer = httpx.request(self.command, server + self.path, content=body, timeout=60)
                status, content = answer.status_code, answer.content
                kind = answer.headers.get("Content-Type", "text/plain")
            for path, change in made.changes.items():
                if self.path.endswith(path):
                    status, content = change(status, content)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        made.port = listening.server_port
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield made
        listening.shutdown()
