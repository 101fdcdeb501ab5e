"""A double of a container registry: what a push speaks with, on loopback.

It follows the OCI distribution specification 1.1 (opencontainers/distribution-spec, spec.md,
"Push") and refuses what a registry refuses: a blob whose digest is another, a manifest whose
blobs have not arrived.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_NAME = r"/v2/(?P<name>[a-z0-9._/-]+)"


@dataclass
class Registry:
    """What has been pushed.

    Attributes:
        uploads: how many blobs were sent.
        manifests: by name and tag.
        parts: what has arrived of uploads that are under way.
    """

    port: int = 0
    uploads: int = 0
    blobs: dict[str, int] = field(default_factory=dict)
    manifests: dict[str, dict[str, object]] = field(default_factory=dict)
    parts: dict[str, bytearray] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.port}"

    def allow(self, folder: Path) -> dict[str, str]:
        """The variable that lets an engine speak to it without TLS."""
        conf = folder / "registries.conf"
        conf.write_text(f'[[registry]]\nlocation = "{self.address}"\ninsecure = true\n')
        return {"CONTAINERS_REGISTRIES_CONF": str(conf)}


class _Handler(BaseHTTPRequestHandler):
    registry: Registry
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def answer(self, status: int, body: bytes = b"", size: int = 0, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) or size))
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data = bytearray()
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return bytes(data)

    def do_HEAD(self) -> None:
        blob = re.fullmatch(f"{_NAME}/blobs/(?P<digest>sha256:[0-9a-f]{{64}})", self.path)
        size = self.registry.blobs.get(blob["digest"]) if blob else None
        return self.answer(404) if size is None else self.answer(200, size=size)

    def do_GET(self) -> None:
        return self.answer(200 if self.path == "/v2/" else 404)

    def do_POST(self) -> None:
        self.body()
        begun = re.fullmatch(f"{_NAME}/blobs/uploads/(\\?.*)?", self.path)
        if not begun:
            return self.answer(404)
        place = f"/v2/{begun['name']}/blobs/uploads/{len(self.registry.parts)}"
        self.registry.parts[place] = bytearray()
        return self.answer(202, Location=place)

    def do_PATCH(self) -> None:
        data = self.registry.parts.get(self.path)
        if data is None:
            return self.answer(404)
        data += self.body()
        return self.answer(202, Location=self.path, Range=f"0-{len(data) - 1}")

    def do_PUT(self) -> None:
        sent = self.body()
        if tagged := re.fullmatch(f"{_NAME}/manifests/(?P<tag>[\\w.-]+)", self.path):
            return self.manifest(f"{tagged['name']}:{tagged['tag']}", sent)
        place, _, query = self.path.partition("?digest=")
        data = bytes(self.registry.parts.get(place, b"")) + sent
        found = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if place not in self.registry.parts or query.replace("%3A", ":") != found:
            return self.answer(400)
        self.registry.blobs[found] = len(data)
        self.registry.uploads += 1
        return self.answer(201, Location=place, Docker_Content_Digest=found)

    def manifest(self, name: str, sent: bytes) -> None:
        read = json.loads(sent)
        for part in (read["config"], *read["layers"]):
            if self.registry.blobs.get(part["digest"]) != part["size"]:
                return self.answer(400)
        self.registry.manifests[name] = read
        digest = f"sha256:{hashlib.sha256(sent).hexdigest()}"
        return self.answer(201, Location=self.path, Docker_Content_Digest=digest)


@contextmanager
def registry() -> Iterator[Registry]:
    """A registry that is empty, for as long as the block lasts."""
    made = Registry()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("_Bound", (_Handler,), {"registry": made}))
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
