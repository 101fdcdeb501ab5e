"""What is asked again, against a double of an API server that is busy: a status per request.

That a server in trouble answers 429 or 5xx: Kubernetes, API Priority and Fairness.
"""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from rolecall.cluster.api import Api
from rolecall.errors import RolecallError, UnreachableError

THING = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"}}

#: Ends the connection without an answer.
DROP = 0


class _Busy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    plan: list[int]
    seen: list[str]

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return

        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append(self.command)
        status = self.plan.pop(0)
        if status == DROP:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr("rolecall.cluster.wire.PAUSES", (0.01, 0.01, 0.01))
    handler = type("Handler", (_Busy,), {"plan": [], "seen": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        serving.daemon_threads = True
        thread = Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


@pytest.fixture
def api(server: Any, tmp_path: Path) -> Api:
    content = {
        "clusters": [
            {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        ],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(content))
    return Api("here", str(tmp_path / "kubeconfig"), "", tmp_path / "cache")


@pytest.mark.parametrize("trouble", [429, 503, 504, DROP])
def test_what_may_be_asked_twice_is_asked_again(api: Api, server: Any, trouble: int) -> None:
    handler = server.RequestHandlerClass
    handler.plan += [trouble, trouble, 200]
    assert api.apply(THING) == {}
    assert handler.seen == ["PATCH"] * 3


@pytest.mark.parametrize("trouble", [503, DROP])
def test_it_ends_some_time(api: Api, server: Any, trouble: int) -> None:
    handler = server.RequestHandlerClass
    handler.plan += [trouble] * 9
    with pytest.raises(RolecallError):
        api.apply(THING)
    assert len(handler.seen) == 4


def test_a_creation_is_asked_for_once(api: Api, server: Any) -> None:
    handler = server.RequestHandlerClass
    handler.plan += [DROP, 200]
    with pytest.raises(UnreachableError):
        api.create(THING)
    assert handler.seen == ["POST"]
