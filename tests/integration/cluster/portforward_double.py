"""A double of the part of an API server that forwards ports of pods: no pod, no kubelet.

It carries to servers on loopback. What it says and insists on is that of Kubernetes 1.34
(kubelet/pkg/cri/streaming/portforward/websocket.go): the subprotocol v4.channel.k8s.io, a data and
an error channel for a port, each beginning with the port as two bytes, least first; the error, if
any, as one message; then the connection is closed. Frames are those of RFC 6455.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
import ssl
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.rig.kubernetes.certificates import Authority

PROTOCOL = "v4.channel.k8s.io"
TOKEN = "token-of-the-double"
POD = "/api/v1/namespaces/space/pods/one/portforward"

#: Bytes that wait in a socket: few, so that who does not read is soon noticed.
BUFFER = 1 << 15

_BINARY, _CLOSE, _PING, _PONG = 2, 8, 9, 10
_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


class ProtocolError(AssertionError):
    """The client did what a real API server would not take."""


@dataclass
class PortforwardDouble:
    """Where it is, and what became of it.

    Attributes:
        url: of the server.
        refuses: a Status to refuse with, if any.
        opened: connections so far.
        open: connections now.
        pongs: what pings were answered with.
        wrong: what clients did against the protocol.
    """

    url: str = ""
    refuses: dict[str, Any] | None = None
    opened: int = 0
    open: int = 0
    pongs: list[bytes] = field(default_factory=list)
    wrong: list[BaseException] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        except BaseException as error:
            self.wrong.append(error)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        request, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
        method, target, _ = request.split(" ")
        parts = urlsplit(target)
        wanted = {
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-protocol": PROTOCOL,
            "authorization": f"Bearer {TOKEN}",
        }
        if (method, parts.path) != ("GET", POD) or wanted.items() - headers.items():
            raise ProtocolError(request)
        if self.refuses:
            body = json.dumps(self.refuses).encode()
            line = f"HTTP/1.1 {self.refuses['code']} Refused\r\n"
            writer.write(f"{line}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
            return
        key = hashlib.sha1(f"{headers['sec-websocket-key']}{_MAGIC}".encode()).digest()
        accept = base64.b64encode(key).decode()
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n".encode()
        )
        self.opened += 1
        self.open += 1
        try:
            await self._carry(int(parse_qs(parts.query)["ports"][0]), reader, writer)
        finally:
            self.open -= 1

    async def _carry(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        number = port.to_bytes(2, "little")
        writer.write(_frame(_BINARY, b"\0" + number) + _frame(_BINARY, b"\1" + number))
        writer.write(_frame(_PING, b"there?"))
        try:
            from_pod, to_pod = await asyncio.open_connection("127.0.0.1", port)
            _keep_small(to_pod.get_extra_info("socket"))
        except OSError as error:
            said = f"error forwarding port {port} to pod one, uid : {error}"
            writer.write(_frame(_BINARY, b"\1" + said.encode()) + _frame(_CLOSE, b"\x03\xe8"))
            await writer.drain()
            return
        both = [
            asyncio.ensure_future(self._to_pod(reader, to_pod)),
            asyncio.ensure_future(_to_client(from_pod, writer)),
        ]
        done, rest = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        to_pod.transport.abort()
        for task in done:
            task.result()
        with suppress(OSError):
            writer.write(_frame(_CLOSE, b"\x03\xe8"))
            await writer.drain()

    async def _to_pod(self, reader: asyncio.StreamReader, pod: asyncio.StreamWriter) -> None:
        while True:
            kind, data = await _read(reader)
            if kind == _CLOSE:
                return
            if kind == _PONG:
                self.pongs.append(data)
            elif kind != _BINARY or data[:1] != b"\0":
                raise ProtocolError(f"opcode {kind}, channel {data[:1]!r}")
            else:
                pod.write(data[1:])
                await pod.drain()


async def _to_client(pod: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await pod.read(1 << 15):
        writer.write(_frame(_BINARY, b"\0" + data))
        await writer.drain()


def _keep_small(line: socket.socket) -> None:
    for side in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        line.setsockopt(socket.SOL_SOCKET, side, BUFFER)


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, second = await reader.readexactly(2)
    if first & 0x70 or not second & 0x80:
        raise ProtocolError("clients mask, and have no extension")
    size = second & 0x7F
    if size > 125:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    mask = await reader.readexactly(4)
    return first & 15, _masked(await reader.readexactly(size), mask)


def _masked(data: bytes, mask: bytes) -> bytes:
    long = (mask * (len(data) // 4 + 1))[: len(data)]
    number = int.from_bytes(data, "big") ^ int.from_bytes(long, "big")
    return number.to_bytes(len(data), "big")


def _frame(kind: int, data: bytes) -> bytes:
    if len(data) < 126:
        size = bytes([len(data)])
    elif len(data) < 1 << 16:
        size = b"\x7e" + len(data).to_bytes(2, "big")
    else:
        size = b"\x7f" + len(data).to_bytes(8, "big")
    return bytes([0x80 | kind]) + size + data


@contextmanager
def portforward_double(
    folder: Path, *, tls: bool = True
) -> Iterator[tuple[PortforwardDouble, Path]]:
    """One on loopback, and a kubeconfig whose context ``double`` reaches it."""
    authority = Authority(folder)
    pair = authority.issue("double", hosts=["127.0.0.1"])
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(pair.certificate, pair.key)
    double = PortforwardDouble()
    with _loop() as loop:

        def call(what: Coroutine[Any, Any, Any]) -> Any:
            return asyncio.run_coroutine_threadsafe(what, loop).result(10)

        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        _keep_small(listener)  # and with it those that it accepts
        double.url = f"http{'s' * tls}://127.0.0.1:{listener.getsockname()[1]}"
        server = call(asyncio.start_server(double.serve, sock=listener, ssl=trust if tls else None))
        cluster = {"server": double.url, "certificate-authority": str(authority.certificate)}
        written = {
            "current-context": "double",
            "clusters": [{"name": "double", "cluster": cluster}],
            "users": [{"name": "double", "user": {"token": TOKEN}}],
            "contexts": [{"name": "double", "context": {"cluster": "double", "user": "double"}}],
        }
        kubeconfig = folder / "kubeconfig-of-the-double"
        kubeconfig.write_text(yaml.safe_dump(written))
        yield double, kubeconfig
        loop.call_soon_threadsafe(server.close)
    assert not double.wrong, double.wrong


@contextmanager
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(_end_all(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end_all() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
