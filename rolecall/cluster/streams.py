"""What a container prints: its log, and the output of a command in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from rolecall.cluster.errors import refused
from rolecall.cluster.objects import Ref
from rolecall.cluster.wire import Wire

if TYPE_CHECKING:
    from websocket import WebSocket

#: The channel of standard output (v4.channel.k8s.io).
_OUTPUT = 1

#: Seconds that a command in a container may take.
PATIENCE = 30.0


def path(pod: Ref, part: str) -> str:
    """The path of a part of a pod, such as its ``log``."""
    return f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/{part}"


def logs(wire: Wire, pod: Ref, query: Mapping[str, str]) -> Iterator[str]:
    """The lines of a log, as they come. Closing the iterator closes the connection.

    Raises:
        RolecallError: there is no such log.
        UnreachableError: the cluster does not answer, or the connection broke.
    """
    from urllib3.exceptions import HTTPError

    response = wire.stream(path(pod, "log"), query)
    try:
        if response.status >= 300:
            raise refused(response.status, _status(response.read()), "read the log of", pod)
        rest = b""
        for block in response.stream(1 << 16, decode_content=True):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                yield _text(line)
        if rest:
            yield _text(rest)
    except HTTPError as error:
        raise wire.unreachable(error) from error
    finally:
        response.close()


def execute(wire: Wire, pod: Ref, container: str, command: Sequence[str]) -> str:
    """What a command in a container prints on its standard output.

    Raises:
        RolecallError: it may not be run, or the pod is gone.
    """
    query = [
        ("container", container),
        ("stdout", "true"),
        ("stderr", "false"),
        *(("command", word) for word in command),
    ]
    from websocket import ABNF, WebSocketException

    socket = websocket(wire, f"{path(pod, 'exec')}?{urlencode(query)}", pod, "run a command in")
    said = bytearray()
    try:
        socket.settimeout(PATIENCE)
        while True:
            kind, data = socket.recv_data()
            if kind == ABNF.OPCODE_CLOSE:
                break
            if data[:1] == bytes([_OUTPUT]):
                said += data[1:]
    except (OSError, WebSocketException) as error:
        raise wire.unreachable(error) from error
    finally:
        socket.close()
    return _text(bytes(said))


def websocket(wire: Wire, address: str, pod: Ref, verb: str) -> WebSocket:
    """A websocket of a pod, as the official client makes them.

    Raises:
        RolecallError: the cluster refuses it.
        UnreachableError: the cluster does not answer.
    """
    from kubernetes.stream.ws_client import create_websocket
    from websocket import WebSocketBadStatusException, WebSocketException

    url = f"{wire.server.replace('http', 'ws', 1)}{address}"
    headers = {**wire.headers(), "sec-websocket-protocol": "v4.channel.k8s.io"}
    try:
        made: WebSocket = create_websocket(wire.configuration, url, headers)  # type: ignore[no-untyped-call]
    except WebSocketBadStatusException as error:
        said = _status(error.resp_body or b"")
        raise refused(error.status_code, said, verb, pod) from error
    except (OSError, WebSocketException) as error:
        raise wire.unreachable(error) from error
    return made


def _status(data: bytes) -> dict[str, Any]:
    try:
        said = json.loads(data)
    except ValueError:
        return {"message": data[:300].decode("utf-8", "replace")}
    return said if isinstance(said, dict) else {}


def _text(data: bytes | str) -> str:
    return data if isinstance(data, str) else data.decode("utf-8", "replace").rstrip("\r")
