"""What a client of the server does, with the standard library."""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from .rig import Serving

QUESTION = "What is machine learning?"
NEVER = -1
"""An end token that is none: the answer has its full length."""


class RefusedError(Exception):
    """The server answered with an error."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


def generate(serving: Serving, model: str = "ensemble", **fields: Any) -> dict[str, Any]:
    """POST to ``generate``; the JSON of the answer. Raises ``RefusedError``."""
    answer: dict[str, Any] = json.loads(_post(serving, f"{model}/generate", fields))
    return answer


def text(serving: Serving, model: str = "ensemble", **fields: Any) -> str:
    """The text of the answer to ``generate``."""
    return str(generate(serving, model, **fields)["text_output"])


def stream(serving: Serving, model: str = "ensemble", **fields: Any) -> list[dict[str, Any]]:
    """POST to ``generate_stream``; the JSON of each event. Raises ``RefusedError``."""
    body = _post(serving, f"{model}/generate_stream", {"stream": True, **fields})
    return [json.loads(event[6:]) for event in body.split("\n\n") if event.startswith("data: ")]


def open_request(serving: Serving, endpoint: str, **fields: Any) -> http.client.HTTPConnection:
    """Send a request and leave its answer unread."""
    address = urlsplit(serving.http)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=120)
    connection.request("POST", f"/v2/models/{endpoint}", _body(fields))
    return connection


def requests_in(serving: Serving, kind: str) -> int:
    """How many requests the engine has: ``active`` or ``waiting``, from the metrics port."""
    with urllib.request.urlopen(serving.metrics, timeout=10) as response:
        metrics = response.read().decode()
    pattern = rf'nv_trt_llm_request_metrics{{[^}}]*request_type="{kind}"[^}}]*}} (\S+)'
    found = re.search(pattern, metrics)
    assert found is not None, metrics
    return int(float(found[1]))


def wait_until(condition: Callable[[], bool], seconds: float) -> float:
    """Wait for ``condition``; the seconds that it took. Fails if it takes too long."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"not within {seconds} s"
        time.sleep(0.05)
    return time.monotonic() - started


def _post(serving: Serving, endpoint: str, fields: dict[str, Any]) -> str:
    request = urllib.request.Request(f"{serving.http}/v2/models/{endpoint}", _body(fields))
    try:
        with urllib.request.urlopen(request, timeout=180) as response:
            return str(response.read().decode())
    except urllib.error.HTTPError as error:
        raise RefusedError(error.code, error.read().decode()) from None


def _body(fields: dict[str, Any]) -> bytes:
    return json.dumps({"text_input": QUESTION, "max_tokens": 40, **fields}).encode()
