"""What a container prints: its log, and a command in it, with how it ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from rolecall.cluster.errors import refused
from rolecall.cluster.objects import Ref
from rolecall.cluster.wire import Wire
from rolecall.errors import RolecallError

if TYPE_CHECKING:
    from websocket import WebSocket

#: The channels of standard output, standard error, and of how it ended (v4.channel.k8s.io).
_OUTPUT, _ERRORS, _STATUS = 1, 2, 3

#: Seconds for which a command in a container may be silent.
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


@dataclass(frozen=True)
class Executed:
    """A command in a container that has ended.

    Attributes:
        status: its exit status.
    """

    status: int
    output: bytes
    errors: bytes

    @property
    def text(self) -> str:
        """What it printed on its standard output."""
        return _text(self.output)


def execute(wire: Wire, pod: Ref, container: str, command: Sequence[str]) -> Executed:
    """Run a command in a container to its end.

    Raises:
        RolecallError: it may not be run, there is no such program, or the pod is gone.
        UnreachableError: the cluster does not answer, or the connection broke.
    """
    query = [
        ("container", container),
        ("stdout", "true"),
        ("stderr", "true"),
        *(("command", word) for word in command),
    ]
    from websocket import ABNF, WebSocketException

    socket = websocket(wire, f"{path(pod, 'exec')}?{urlencode(query)}", pod, "run a command in")
    said = {channel: bytearray() for channel in (_OUTPUT, _ERRORS, _STATUS)}
    try:
        socket.settimeout(PATIENCE)
        while True:
            kind, data = socket.recv_data()
            if kind == ABNF.OPCODE_CLOSE:
                break
            if data and data[0] in said:
                said[data[0]] += data[1:]
    except (OSError, WebSocketException) as error:
        raise wire.unreachable(error) from error
    finally:
        socket.close()
    status = _exit_status(bytes(said[_STATUS]), f"{command[0]} in container {container} of {pod}")
    return Executed(status, bytes(said[_OUTPUT]), bytes(said[_ERRORS]))


def _exit_status(data: bytes, what: str) -> int:
    """The exit status that the last channel tells.

    It carries one Status (Kubernetes 1.34, apimachinery/pkg/util/remotecommand and
    kubelet/pkg/cri/streaming/remotecommand/exec.go): ``Success``, or ``Failure`` with reason
    ``NonZeroExitCode`` and the number as a cause, or what kept the command from being run.
    """
    said = _status(data)
    if said.get("status") == "Success":
        return 0
    causes = (said.get("details") or {}).get("causes") or []
    codes = [one.get("message") for one in causes if one.get("reason") == "ExitCode"]
    if said.get("reason") == "NonZeroExitCode" and codes:
        return int(codes[0])
    reason = str(said.get("message") or "the connection ended before the command did")
    raise RolecallError(f"{what} could not be run: {' '.join(reason.split())}")


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
