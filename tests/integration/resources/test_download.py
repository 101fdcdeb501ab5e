import contextlib
import hashlib
import os
import random
import shutil
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rolecall.resources.download import Download
from tests.support import (
    assert_contract,
    converge,
    converge_killed,
    destroy,
    find_shell,
    settled,
)

DATA = random.Random(1).randbytes(400_000)
SHA = hashlib.sha256(DATA).hexdigest()


class Server:
    """A server whose manners a test can spoil."""

    def __init__(self) -> None:
        self.data = DATA
        self.ranges = True
        self.cut_after: int | None = None
        self.status = 200
        self.seconds_a_chunk = 0.0
        self.redirect = ""
        self.requests: list[tuple[str, dict[str, str]]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/some%20file?a=1&b='x'"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def answer(self, http: BaseHTTPRequestHandler) -> None:
        self.requests.append((http.path, dict(http.headers)))
        http.close_connection = True
        start = 0
        if self.redirect:
            http.send_response(302)
            http.send_header("Location", self.redirect)
            http.send_header("Content-Length", "0")
            http.end_headers()
            return
        if self.status != 200:
            http.send_error(self.status)
            return
        wanted = http.headers.get("Range")
        if wanted and self.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(self.data):
                http.send_error(416)
                return
            http.send_response(206)
            http.send_header(
                "Content-Range", f"bytes {start}-{len(self.data) - 1}/{len(self.data)}"
            )
        else:
            http.send_response(200)
        body = self.data[start:]
        http.send_header("Content-Length", str(len(body)))
        http.end_headers()
        if self.cut_after is not None:
            body = body[: self.cut_after]
        try:
            for at in range(0, len(body), 50_000):
                http.wfile.write(body[at : at + 50_000])
                http.wfile.flush()
                threading.Event().wait(self.seconds_a_chunk)
        except OSError:
            pass

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


@pytest.fixture(params=["curl", "wget", "python3", "busybox"])
def tool(request, tmp_path, monkeypatch) -> Callable[[Download], Download]:
    """A host on which one tool alone can download."""
    found = shutil.which(request.param)
    if request.param == "python3":
        found = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else found
    if found is None:
        pytest.skip(f"{request.param} is not installed")
    folder = tmp_path / "bin"
    folder.mkdir()
    for directory in ("/usr/bin", "/bin"):
        for program in Path(directory).iterdir():
            hidden = program.name.startswith(("curl", "wget", "python", "busybox"))
            if not hidden and not (folder / program.name).exists():
                (folder / program.name).symlink_to(program)
    (folder / ("wget" if request.param == "busybox" else request.param)).symlink_to(found)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return request.param


def plain(url: str) -> str:
    return url.partition("?")[0]


def test_every_tool_downloads_once_and_destroy_removes_all(tmp_path, server, tool):
    (tmp_path / "d").mkdir()
    path = tmp_path / "d" / "it's $(a) file"
    download = Download(plain(server.url), str(path), SHA, mode="640")
    first = assert_contract([download], tmp_path / "home")
    assert path.read_bytes() == DATA
    assert path.stat().st_mode & 0o777 == 0o640
    assert len(server.requests) == 1
    assert any(event.unit == "B" for event in first.progress)
    assert len(list(path.parent.iterdir())) == 2
    destroy(download, tmp_path / "home")
    assert list(path.parent.iterdir()) == []


def test_a_server_that_cuts_connections_is_asked_for_the_rest(tmp_path, server, tool):
    server.cut_after = 150_000
    download = Download(plain(server.url), str(tmp_path / "a"), SHA)
    assert_contract([download], tmp_path / "home")
    assert (tmp_path / "a").read_bytes() == DATA
    if tool != "busybox":  # goes on by itself
        assert [headers.get("Range") for _, headers in server.requests] == [
            None,
            "bytes=150000-",
            "bytes=300000-",
        ]


def test_without_ranges_a_part_is_dropped_and_all_comes_again(tmp_path, server, tool):
    download = Download(plain(server.url), str(tmp_path / "a"), SHA)
    server.ranges = False
    part = tmp_path / f".rolecall-{SHA}.part"
    part.write_bytes(DATA[:100_000])
    assert_contract([download], tmp_path / "home")
    assert (tmp_path / "a").read_bytes() == DATA
    assert not part.exists()


@pytest.mark.parametrize("left", [DATA, b"x" * 1000, DATA + b"too much"])
def test_a_part_that_is_whole_wrong_or_too_long_is_dealt_with(tmp_path, server, left, tool):
    (tmp_path / f".rolecall-{SHA}.part").write_bytes(left)
    download = Download(plain(server.url), str(tmp_path / "a"), SHA)
    assert_contract([download], tmp_path / "home")
    assert (tmp_path / "a").read_bytes() == DATA


def test_wrong_bytes_are_removed_and_both_digests_told(tmp_path, server, tool):
    server.data = DATA[:-1] + b"!"
    download = Download(plain(server.url), str(tmp_path / "a"), SHA)
    result = converge([download], tmp_path / "home")
    assert f"expected sha256 {SHA}" in result.reason(download)
    assert hashlib.sha256(server.data).hexdigest() in result.reason(download)
    assert [path.name for path in tmp_path.glob(".rolecall*")] == []
    assert not (tmp_path / "a").exists()


def test_a_refusal_is_told_apart_from_no_answer(tmp_path, server, tool):
    server.status = 404
    download = Download(plain(server.url), str(tmp_path / "a"), SHA)
    result = converge([download], tmp_path / "home")
    assert "the server refused" in result.reason(download)
    nobody = Download("http://127.0.0.1:9/a", str(tmp_path / "b"), SHA)
    result = converge([nobody], tmp_path / "home")
    assert "the server cannot be reached" in result.reason(nobody)


@pytest.mark.parametrize("tool", ["curl", "python3"], indirect=True)
def test_credentials_reach_the_first_server_and_nobody_else(tmp_path, server, tool):
    other = Server()
    server.redirect = other.url.replace("127.0.0.1", "localhost")
    server.seconds_a_chunk = other.seconds_a_chunk = 0.1
    secret = 'Bearer "hidden\\42"'
    download = Download(server.url, str(tmp_path / "a"), SHA, headers={"Authorization": secret})
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.add(process.read_bytes().decode(errors="replace"))

    watcher = threading.Thread(target=look)
    watcher.start()
    home = tmp_path / "home"
    result = converge([download], home)
    over.set()
    watcher.join()
    other.close()
    assert result.outcomes[download.id] == "changed", result.text
    assert server.requests[0][1]["Authorization"] == secret
    assert "Authorization" not in other.requests[0][1]
    assert "hidden" not in result.text + repr(download)
    assert not any("hidden" in line for line in seen)
    for path in [*home.rglob("*"), *tmp_path.glob(".rolecall*")]:
        assert not path.is_file() or b"hidden" not in path.read_bytes(), path
    settled([download], home)


def test_a_file_that_was_touched_or_rewritten_is_noticed(tmp_path, server):
    path, home = tmp_path / "a", tmp_path / "home"
    download = Download(server.url, str(path), SHA)
    converge([download], home)
    os.utime(path, (1, 1))
    assert_contract([download], home)
    assert len(server.requests) == 1
    path.write_bytes(DATA[:1000])
    assert_contract([download], home)
    before = path.stat()
    rewritten = tmp_path / "b"
    rewritten.write_bytes(b"!" + DATA[1:])
    os.utime(rewritten, ns=(before.st_atime_ns, before.st_mtime_ns))
    rewritten.replace(path)
    assert_contract([download], home)
    assert path.read_bytes() == DATA


def test_a_file_put_there_by_hand_is_adopted(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(DATA)
    download = Download("http://127.0.0.1:9/a", str(path), SHA)
    assert_contract([download], tmp_path / "home")


def test_a_mode_alone_is_set_without_downloading(tmp_path, server):
    converge([Download(server.url, str(tmp_path / "a"), SHA)], tmp_path / "home")
    assert_contract([Download(server.url, str(tmp_path / "a"), SHA, mode="600")], tmp_path / "home")
    assert len(server.requests) == 1


def test_a_killed_download_goes_on_where_it_stopped(tmp_path, server):
    server.seconds_a_chunk = 0.2
    path, home = tmp_path / "a", tmp_path / "home"
    part = tmp_path / f".rolecall-{SHA}.part"
    download = Download(server.url, str(path), SHA)
    when: Callable[[], bool] = lambda: part.exists() and part.stat().st_size >= 100_000  # noqa: E731
    assert converge_killed([download], home, when)
    server.seconds_a_chunk = 0.0
    after = converge([download], home)
    assert after.outcomes == {download.id: "changed"}, after.text
    assert path.read_bytes() == DATA
    assert server.requests[-1][1]["Range"].startswith("bytes=")
    settled([download], home)
    assert [item.name for item in tmp_path.glob(".rolecall*")] == [
        f"{path.parent.joinpath('.rolecall-').name}{hashlib.sha256(str(path).encode()).hexdigest()[:12]}.verified"
    ]


def test_a_local_file_is_copied(tmp_path):
    source = tmp_path / "so urce%"
    source.write_bytes(DATA)
    download = Download(source.as_uri(), str(tmp_path / "a"), SHA)
    assert_contract([download], tmp_path / "home")
    gone = Download(f"file://{tmp_path}/gone", str(tmp_path / "b"), SHA)
    result = converge([gone], tmp_path / "home")
    assert f"{tmp_path}/gone cannot be read" in result.reason(gone)


def test_a_host_without_any_tool_is_told_what_to_install(tmp_path):
    shell = find_shell("busybox", tmp_path)
    (tmp_path / "busybox" / "wget").unlink()
    download = Download("http://127.0.0.1:9/a", str(tmp_path / "a"), SHA)
    result = converge([download], tmp_path / "home", check=True, shell=shell)
    assert 'declare Package("curl")' in result.reason(download)


def test_a_host_of_busybox_alone_downloads(tmp_path, server):
    shell = find_shell("busybox", tmp_path)
    download = Download(plain(server.url), str(tmp_path / "a"), SHA)
    assert_contract([download], tmp_path / "home", shell)
