"""A local hub for tests: what the clients of Hugging Face and ModelScope ask of a server.

A double of huggingface.co and modelscope.cn, which tests cannot rely on. Its addresses, headers
and error codes are those that huggingface_hub 2.4.0 (``hf_api.py``, ``file_download.py``,
``utils/_http.py``) and modelscope_hub 0.5.1 (``_legacy_api.py``, ``_download.py``, ``errors.py``)
use and read; a request for anything else is answered 400 and noted in :attr:`Hub.strange`, and
:meth:`Hub.stop` fails on it, so that a client of another version cannot pass by unseen.

Large files (``*.safetensors``, ``*.gguf``, ``*.bin``) are LFS objects: they are served from
another origin, as a store behind a hub does, and a token shown there is noted in
:attr:`Hub.leaked`.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

_LFS = (".safetensors", ".gguf", ".bin")


@dataclass
class Fault:
    """What goes wrong with requests that match ``where``, searched in ``METHOD /path``.

    Attributes:
        times: how often; negative for ever.
        status: answer with this, and with ``headers``.
        cut: end the connection after so many bytes of the body.
        corrupt: send other bytes of the same length.
        pause: seconds between pieces of ``piece`` bytes.
    """

    where: str
    times: int = -1
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int = -1
    corrupt: bool = False
    pause: float = 0.0
    piece: int = 1 << 16


@dataclass
class Repo:
    """A model: its commits, oldest first, by id; what its names stand for; who may read it."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    gated: bool = False
    private: bool = False
    readers: set[str] = field(default_factory=set)
    without_sha256: bool = False

    def commit(self, files: Mapping[str, bytes], *refs: str) -> str:
        """Add a commit with exactly ``files``; the usual branches stand for it, and ``refs``."""
        text = json.dumps([[path, len(data)] for path, data in sorted(files.items())])
        seed = f"{len(self.commits)}{text}".encode() + b"".join(files[path] for path in files)
        name = hashlib.sha1(seed, usedforsecurity=False).hexdigest()
        self.commits[name] = dict(files)
        self.refs |= dict.fromkeys(("main", "master", *refs), name)
        return name

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit that ``revision`` names, and its files."""
        name = self.refs.get(revision, revision)
        return (name, self.commits[name]) if name in self.commits else None

    def changed_in(self, path: str, commit: str) -> tuple[str, int]:
        """The last commit up to ``commit`` that changed ``path``, and its number."""
        found, before = ("", 0), None
        for number, (name, files) in enumerate(self.commits.items()):
            if files.get(path) != before:
                found, before = (name, number), files.get(path)
            if name == commit:
                break
        return found


@dataclass
class Request:
    """One request that came: its method and path, the token it showed, the range it asked for."""

    method: str
    path: str
    token: str
    range: str
    sent: int = 0


class Hub:
    """The server. ``tokens`` are valid; ``requests`` came, in order."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.tokens: set[str] = set()
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.strange: list[str] = []
        self.leaked: list[str] = []
        self.page = 1000
        self._objects: dict[int, tuple[str, bytes]] = {}
        self._lock = threading.Lock()
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> str:
        """Where it keeps LFS objects: another origin, as far as a client can see."""
        return f"http://localhost:{self.port}"

    def fault(self, where: str, **how: object) -> Fault:
        """Let something go wrong from now on; see :class:`Fault`."""
        fault = Fault(where, **how)  # type: ignore[arg-type]
        self.faults.append(fault)
        return fault

    def find_fault(self, request: str) -> Fault | None:
        """The first fault that a request meets; it is counted."""
        with self._lock:
            for fault in self.faults:
                if fault.times and re.search(fault.where, request):
                    fault.times -= 1
                    return fault
        return None

    def sent(self, pattern: str) -> int:
        """How many bytes of bodies went out for requests that match."""
        return sum(r.sent for r in self.requests if re.search(pattern, f"{r.method} {r.path}"))

    def asked(self, pattern: str) -> list[Request]:
        """The requests that match ``pattern``, in order."""
        return [r for r in self.requests if re.search(pattern, f"{r.method} {r.path}")]

    def sha256(self, data: bytes) -> str:
        """The sha256 of a file, worked out once."""
        known = self._objects.get(id(data))
        if known is None or known[1] is not data:
            known = (hashlib.sha256(data).hexdigest(), data)
            self._objects[id(data)] = known
        return known[0]

    def object(self, sha256: str) -> bytes | None:
        """An LFS object."""
        for repo in self.repos.values():
            for files in repo.commits.values():
                for data in files.values():
                    if self.sha256(data) == sha256:
                        return data
        return None

    def stop(self) -> None:
        """Close it.

        Raises:
            AssertionError: something was asked that no hub answers, or a token went elsewhere.
        """
        self.close()
        assert not self.strange, self.strange
        assert not self.leaked, self.leaked

    def close(self) -> None:
        """Answer no more."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


@contextmanager
def hub() -> Iterator[Hub]:
    """A hub for the time of the block."""
    made = Hub()
    try:
        yield made
    except BaseException:
        made.close()
        raise
    made.stop()


def git_blob(data: bytes) -> str:
    """The id that git gives to a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is none."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def _serve(self) -> None:
        authorization = self.headers.get("Authorization", "")
        token = authorization.removeprefix("Bearer ")
        self.request_ = Request(self.command, self.path, token, self.headers.get("Range", ""))
        self.hub.requests.append(self.request_)
        self.fault = self.hub.find_fault(f"{self.command} {self.path}")
        with suppress(BrokenPipeError, ConnectionResetError):
            if self.fault and self.fault.status:
                self._answer(self.fault.status, b"{}", dict(self.fault.headers))
            else:
                self._route(token)

    def _route(self, token: str) -> None:
        address = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(address.query).items()}
        for pattern, act in _ROUTES:
            if found := re.fullmatch(pattern, address.path):
                act(self, token, query, *(unquote(part) for part in found.groups()))
                return
        self.hub.strange.append(f"{self.command} {self.path}")
        self._answer(400, b'{"error": "no hub knows this"}')

    # Hugging Face

    def _readable(self, token: str, name: str, *, content: bool = False) -> Repo | None:
        """The repository, if the token may see it; else the answer is given here."""
        repo = self.hub.repos.get(name)
        if token and token not in self.hub.tokens:
            self._error(401, "", "Invalid credentials in Authorization header")
        elif repo is None or (repo.private and token not in repo.readers):
            self._error(404 if token else 401, "RepoNotFound", "Repository not found")
        elif content and repo.gated and not token:
            self._error(401, "GatedRepo", f"Access to model {name} is restricted.")
        elif content and repo.gated and token not in repo.readers:
            self._error(403, "GatedRepo", "Your request to access it is awaiting a review.")
        else:
            return repo
        return None

    def _error(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self._answer(status, json.dumps({"error": message}).encode(), headers)

    def _info(self, token: str, query: Mapping[str, str], name: str, revision: str) -> None:
        if repo := self._readable(token, name):
            if found := repo.at(revision):
                commit, files = found
                siblings = [{"rfilename": path} for path in files]
                data = {"id": name, "modelId": name, "sha": commit, "siblings": siblings}
                self._answer(200, json.dumps(data).encode())
            else:
                self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")

    def _tree(self, token: str, query: Mapping[str, str], name: str, revision: str) -> None:
        repo = self._readable(token, name)
        if repo is None:
            return
        found = repo.at(revision)
        if found is None:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        entries: list[dict[str, object]] = []
        for path, data in sorted(found[1].items()):
            entry: dict[str, object] = {"type": "file", "path": path, "size": len(data)}
            if path.endswith(_LFS):
                sha256 = self.hub.sha256(data)
                entry["oid"] = git_blob(sha256.encode())
                entry["lfs"] = {"oid": sha256, "size": len(data), "pointerSize": 134}
            else:
                entry["oid"] = git_blob(data)
            entries.append(entry)
        start = int(query.get("cursor", "0"))
        headers = {}
        if start + self.hub.page < len(entries):
            after = f"{urlsplit(self.path).path}?recursive=True&cursor={start + self.hub.page}"
            headers["Link"] = f'<{self.hub.url}{after}>; rel="next"'
        page = entries[start : start + self.hub.page]
        self._answer(200, json.dumps(page).encode(), headers)

    def _resolve(
        self, token: str, query: Mapping[str, str], name: str, revision: str, path: str
    ) -> None:
        repo = self._readable(token, name, content=True)
        if repo is None:
            return
        found = repo.at(revision)
        if found is None:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        commit, files = found
        if path not in files:
            self._error(404, "EntryNotFound", "Entry not found")
            return
        data = files[path]
        headers = {"X-Repo-Commit": commit}
        if path.endswith(_LFS):
            sha256 = self.hub.sha256(data)
            headers |= {
                "X-Linked-Etag": f'"{sha256}"',
                "X-Linked-Size": str(len(data)),
                "Location": f"{self.hub.store}/store/{sha256}?signature=short-lived",
            }
            self._answer(302, b"", headers)
        else:
            # Small files come from the hub's own cache, behind a redirection to the same host.
            where = f"/api/resolve-cache/models/{name}/{commit}/{quote(path)}"
            self._answer(307, b"", headers | {"Location": where})

    def _cached(
        self, token: str, query: Mapping[str, str], name: str, commit: str, path: str
    ) -> None:
        repo = self._readable(token, name, content=True)
        if repo is not None:
            data = repo.commits[commit][path]
            self._content(data, {"X-Repo-Commit": commit, "ETag": f'"{git_blob(data)}"'})

    def _object(self, token: str, query: Mapping[str, str], sha256: str) -> None:
        if token or self.headers.get("Cookie"):
            self.hub.leaked.append(f"{self.command} {self.path}")
        data = self.hub.object(sha256)
        if data is None or query.get("signature") != "short-lived":
            self._answer(403, b"<Error>AccessDenied</Error>")
        else:
            self._content(data, {"ETag": f'"{sha256}"'})

    # ModelScope

    def _ms_repo(self, token: str, name: str) -> Repo | None:
        repo = self.hub.repos.get(name)
        if token and token not in self.hub.tokens:
            self._ms_error(401, 10010101003, "token is invalid")
        elif repo is None:
            self._ms_error(404, 10010205001, "Record not found")
        elif repo.private and token not in repo.readers:
            self._ms_error(403, 10010205002, "access denied")
        else:
            return repo
        return None

    def _ms_error(self, status: int, code: int, message: str) -> None:
        data = {"Code": code, "Message": message, "Success": False}
        self._answer(status, json.dumps(data).encode())

    def _ms_files(self, token: str, query: Mapping[str, str], name: str) -> None:
        repo = self._ms_repo(token, name)
        if repo is None:
            return
        found = repo.at(query["Revision"])
        if found is None:
            self._ms_error(404, 10010205003, "revision not found")
            return
        entries = []
        for path, data in sorted(found[1].items()):
            commit, number = repo.changed_in(path, found[0])
            entry = {
                "Name": path.rpartition("/")[2],
                "Path": path,
                "Size": len(data),
                "Type": "blob",
                "Mode": "33188",
                "IsLFS": path.endswith(_LFS),
                "Revision": commit,
                "CommittedDate": 1_700_000_000 + number,
                "Sha256": "" if repo.without_sha256 else self.hub.sha256(data),
            }
            entries.append(entry)
        folders = {path.rpartition("/")[0] for path in found[1]} - {""}
        entries += [{"Name": f, "Path": f, "Size": 0, "Type": "tree"} for f in sorted(folders)]
        data_ = {"Files": entries, "IsVisual": False, "LatestCommitter": {"Id": ""}}
        answer = {"Code": 200, "Data": data_, "Message": "success", "Success": True}
        self._answer(200, json.dumps(answer).encode())

    def _ms_file(self, token: str, query: Mapping[str, str], name: str) -> None:
        repo = self._ms_repo(token, name)
        if repo is None:
            return
        found = repo.at(query["Revision"])
        path = query["FilePath"]
        if found is None or path not in found[1]:
            self._ms_error(404, 10010205004, f"{path} not found")
        elif path.endswith(_LFS):
            sha256 = hashlib.sha256(found[1][path]).hexdigest()
            where = f"{self.hub.store}/store/{quote(sha256)}?signature=short-lived"
            self._answer(302, b"", {"Location": where})
        else:
            self._content(found[1][path], {})

    def _ms_region(self, token: str, query: Mapping[str, str]) -> None:
        self._answer(200, b'{"Code": 200, "Data": {"InternalRegionQueryAddress": ""}}')

    # Answers

    def _content(self, data: bytes, headers: dict[str, str]) -> None:
        """A file, or the range of it that was asked for."""
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, end, status = 0, len(data), 200
        if asked:
            start, end = int(asked[1]), int(asked[2] or len(data) - 1) + 1
            if start >= len(data):
                self._answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
                return
            status = 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        body = data[start:end]
        if self.fault and self.fault.corrupt:
            body = bytes(byte ^ 1 for byte in body[:64]) + body[64:]
        self._answer(status, body, headers | {"Accept-Ranges": "bytes"})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        fault = self.fault
        if fault and fault.cut >= 0:
            self._send(body[: fault.cut], fault)
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self._send(body, fault)

    def _send(self, body: bytes, fault: Fault | None) -> None:
        if not (fault and fault.pause):
            self.wfile.write(body)
            self.request_.sent += len(body)
            return
        for start in range(0, len(body), fault.piece):
            self.wfile.write(body[start : start + fault.piece])
            self.request_.sent += len(body[start : start + fault.piece])
            time.sleep(fault.pause)


_ROUTES = (
    (r"/api/models/([^/]+/[^/]+)/revision/([^/]+)", _Handler._info),
    (r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", _Handler._tree),
    (r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", _Handler._resolve),
    (r"/api/resolve-cache/models/([^/]+/[^/]+)/([^/]+)/(.+)", _Handler._cached),
    (r"/store/([0-9a-f]{64})", _Handler._object),
    (r"/api/v1/models/([^/]+/[^/]+)/repo/files", _Handler._ms_files),
    (r"/api/v1/models/([^/]+/[^/]+)/repo", _Handler._ms_file),
    (r"/api/v1/repos/internalAccelerationInfo", _Handler._ms_region),
)
