"""What is broken behind a deployment's back is found by the check that is about it.

The deployment is real. Each test breaks one thing, says which checks fail of it and no others,
and puts it right again.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.deployed import INV, Completed, Deployment, failure, recap, run_inv
from tests.integration.verify.verified import Verified, verify

#: Checks that ask the server; all of them fail where there is none.
ANSWERS = (
    "server::it_listens_where_it_should_and_nowhere_else",
    "server::the_server_is_ready",
    "server::every_model_is_ready",
    "server::the_same_question_has_the_same_answer",
    "server::an_answer_comes_in_pieces",
    "server::metrics_are_told",
)
SUPERVISED = "server::triton_runs_supervised_from_what_is_declared"


class Desk:
    """The deployment, and how it is verified."""

    def __init__(self, deployed: Deployment, folder: Path) -> None:
        self.deployed = deployed
        self._folder = folder

    def verify(self, *more: str, status: int = 1, ask: bool = False) -> Verified:
        """Every check; those that need the model's answers, which take longest, with ``ask``."""
        return verify(self.deployed.inv, self._folder, *more, status=status, ask=ask)

    @property
    def site_packages(self) -> Path:
        (found,) = self.deployed.python.parents[1].glob("lib/python3*/site-packages")
        return found

    @property
    def repository(self) -> Path:
        return (self.deployed.home / "artifacts" / "repo" / "current").resolve()


@pytest.fixture
def desk(deployed: Deployment, tmp_path: Path) -> Desk:
    return Desk(deployed, tmp_path)


@contextmanager
def edited(path: Path, change: Callable[[bytes], bytes]) -> Iterator[None]:
    """The file with other content, and the times it had."""
    before, times = path.read_bytes(), path.stat()

    def write(content: bytes) -> None:
        path.write_bytes(content)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    write(change(before))
    try:
        yield
    finally:
        write(before)


@contextmanager
def flipped(path: Path) -> Iterator[None]:
    """The file with one bit in its middle flipped, in place, and the times it had."""
    times = path.stat()

    def flip() -> None:
        with path.open("r+b") as file:
            file.seek(times.st_size // 2)
            byte = file.read(1)[0]
            file.seek(times.st_size // 2)
            file.write(bytes([byte ^ 1]))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    flip()
    try:
        yield
    finally:
        flip()


@contextmanager
def away(path: Path) -> Iterator[None]:
    """The path, not there."""
    aside = path.with_name(f"{path.name}.aside")
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """An edit of one place."""

    def change(text: bytes) -> bytes:
        assert old in text
        return text.replace(old, new, 1)

    return change


def test_a_fresh_deployment_holds_every_check(desk: Desk) -> None:
    found = desk.verify(status=0, ask=True)
    roles = {check.partition("::")[0] for check in found.passed}
    assert roles == {
        "system",
        "python",
        "preflight",
        "runtime",
        "model",
        "engine",
        "repo",
        "server",
    }
    assert not (found.failed or found.errors)
    assert set(ANSWERS) <= found.passed


def test_nothing_is_written_on_the_host(desk: Desk) -> None:
    def tree() -> dict[str, tuple[int, int]]:
        found = {}
        for path in desk.deployed.home.rglob("*"):
            if "services" not in path.parts and not path.is_symlink() and path.is_file():
                found[str(path)] = (path.stat().st_mtime_ns, path.stat().st_size)
        return found

    before = tree()
    desk.verify(status=0)
    assert tree() == before


# --- system ------------------------------------------------------------------------------------


def test_a_package_that_is_not_installed_is_named(desk: Desk) -> None:
    found = desk.verify("--set", "system.packages=[dash, no-such-package]")
    said = found.only("system::the_packages_are_installed")
    assert "not installed: no-such-package\n" in said["system::the_packages_are_installed"]


@pytest.mark.skipif(os.geteuid() != 0, reason="hides files in a mount namespace: needs root")
def test_what_a_deployment_needs_and_the_host_has_lost_is_named(desk: Desk, tmp_path: Path) -> None:
    known, certificates = Path("/var/lib/dpkg/status"), "/etc/ssl/certs/ca-certificates.crt"
    others = [
        one
        for one in known.read_text().split("\n\n")
        if not one.startswith("Package: ca-certificates\n")
    ]
    (tmp_path / "status").write_text("\n\n".join(others))
    inv = tmp_path / "inv"
    inv.write_text(
        "#!/bin/sh\n"
        f"exec unshare -m sh -ec 'mount --bind /dev/null {certificates}\n"
        f"mount --bind {tmp_path}/status {known}\n"
        f'exec {INV} "$@"\' inv "$@"\n'
    )
    inv.chmod(0o755)

    def command(*args: str) -> Completed:
        return run_inv(*args, *desk.deployed.options, inv=inv)

    found = verify(command, tmp_path, "--tags", "system")
    (said,) = found.only("system::what_a_deployment_needs_is_there").values()
    assert "neither there nor installed as a package: ca-certificates\n" in said


def test_a_file_that_should_have_been_removed_is_named(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "ld").touch()
    found = desk.verify("--set", f"system.remove=[{tmp_path}/ld]", "--tags", "system")
    said = found.only("system::what_was_to_be_removed_is_gone")
    assert f"still there: {tmp_path}/ld" in said["system::what_was_to_be_removed_is_gone"]


# --- python ------------------------------------------------------------------------------------


def test_a_changed_pin_is_told_with_both_versions(desk: Desk) -> None:
    (info,) = desk.site_packages.glob("gguf-*.dist-info")
    version = info.name.removeprefix("gguf-").removesuffix(".dist-info")
    with edited(info / "METADATA", replaced(f"Version: {version}".encode(), b"Version: 0.1")):
        found = desk.verify()
    said = found.only(
        "python::every_package_is_the_pinned_one", "python::no_file_of_a_package_is_missing"
    )
    pinned = said["python::every_package_is_the_pinned_one"]
    assert f"gguf is 0.1, and should be {version}" in pinned, pinned


def test_a_package_that_is_gone_is_named(desk: Desk) -> None:
    (info,) = desk.site_packages.glob("gguf-*.dist-info")
    with away(info):
        found = desk.verify()
    (said,) = found.only("python::every_package_is_the_pinned_one").values()
    assert "gguf is not there, and should be " in said


def test_a_file_that_a_package_has_lost_is_named(desk: Desk) -> None:
    with away(desk.site_packages / "gguf" / "lazy.py"):
        found = desk.verify()
    (said,) = found.only("python::no_file_of_a_package_is_missing").values()
    assert "gguf: gguf/lazy.py is missing" in said


def test_an_environment_whose_interpreter_is_broken_is_told(desk: Desk) -> None:
    python = desk.deployed.python
    with away(python):
        python.write_text("#!/bin/sh\necho no library libpython >&2\nexit 127\n")
        python.chmod(0o755)
        try:
            found = desk.verify()
        finally:
            python.unlink()
    said = found.only(
        "python::every_environment_works",
        "python::every_package_is_the_pinned_one",  # nobody can ask for them
        "engine::the_engine_is_of_the_version_that_serves_it",  # it is asked the same way
        "runtime::triton_is_there",
    )
    assert "no library libpython" in said["python::every_environment_works"]


# --- runtime, model, engine ---------------------------------------------------------------------


def test_a_triton_that_is_gone_is_named(desk: Desk) -> None:
    with away(desk.site_packages / "pytriton" / "tritonserver" / "bin" / "tritonserver"):
        found = desk.verify()
    said = found.only("runtime::triton_is_there", "python::no_file_of_a_package_is_missing")
    assert "there is no tritonserver at /" in said["runtime::triton_is_there"]


def test_a_flipped_bit_in_the_model_is_found(desk: Desk) -> None:
    (model,) = (desk.deployed.home / "artifacts" / "model" / "current").resolve().glob("*.gguf")
    with flipped(model):
        found = desk.verify()
    (said,) = found.only("model::every_file_of_the_model_has_its_digest").values()
    assert model.name in said


def test_a_flipped_bit_in_the_engine_is_found(desk: Desk) -> None:
    weights = max(desk.deployed.engine_dir.rglob("*.bin"), key=lambda path: path.stat().st_size)
    with flipped(weights):
        found = desk.verify()
    (said,) = found.only("engine::every_file_of_the_engine_has_its_digest").values()
    assert weights.name in said


def test_an_engine_of_another_version_is_told_with_both(desk: Desk) -> None:
    config = desk.deployed.engine_dir / "config.json"
    version = re.search(rb'"version": "([^"]+)"', config.read_bytes())
    assert version
    with edited(config, replaced(version[0], b'"version": "1.0.0"')):
        found = desk.verify()
    said = found.only(
        "engine::every_file_of_the_engine_has_its_digest",
        "engine::the_engine_is_of_the_version_that_serves_it",
    )
    told = said["engine::the_engine_is_of_the_version_that_serves_it"]
    assert "version 1.0.0" in told and version[1].decode().split("-")[0] in told, told


def test_an_engine_that_is_gone_is_told(desk: Desk) -> None:
    with away(desk.deployed.engine_dir / "config.json"):
        found = desk.verify()
    said = found.only(
        "engine::the_engine_is_there",
        "engine::every_file_of_the_engine_has_its_digest",
        "engine::the_engine_is_of_the_version_that_serves_it",
    )
    assert "there is no engine of these settings" in said["engine::the_engine_is_there"]


# --- repo --------------------------------------------------------------------------------------


def test_an_edited_configuration_is_named(desk: Desk) -> None:
    config = desk.repository / "tensorrt_llm" / "config.pbtxt"
    with edited(config, replaced(b"count: 1 ", b"count: 2 ")):
        found = desk.verify()
    (said,) = found.only("repo::the_repository_is_as_made").values()
    assert "tensorrt_llm/config.pbtxt" in said


def test_a_configuration_that_triton_cannot_read_is_told_with_its_line(desk: Desk) -> None:
    config = desk.repository / "ensemble" / "config.pbtxt"
    with edited(config, lambda text: text + b"\nmax_batch_size: lots\n"):
        found = desk.verify()
    said = found.only(
        "repo::the_repository_is_as_made", "repo::every_model_configuration_can_be_read"
    )
    told = said["repo::every_model_configuration_can_be_read"]
    assert re.search(r"ensemble/config\.pbtxt: \d+:\d+", told), told


def test_a_placeholder_that_was_left_is_named(desk: Desk) -> None:
    config = desk.repository / "preprocessing" / "config.pbtxt"
    tokenizer = str(desk.deployed.engine_dir).encode()
    with edited(config, replaced(tokenizer, b"${tokenizer_dir}")):
        found = desk.verify()
    said = found.only("repo::the_repository_is_as_made", "repo::nothing_is_left_unfilled")
    told = said["repo::nothing_is_left_unfilled"]
    assert "preprocessing/config.pbtxt" in told and "${tokenizer_dir}" in told


def test_an_edited_backend_is_named(desk: Desk) -> None:
    backends = (desk.deployed.home / "artifacts" / "backends" / "current").resolve()
    program = min(backends.glob("tensorrtllm/*.py"))
    with flipped(program):
        found = desk.verify()
    (said,) = found.only("repo::the_backends_are_whole").values()
    assert program.name in said


# --- server ------------------------------------------------------------------------------------


def start(desk: Desk) -> None:
    done = desk.deployed.inv("deploy", "--json", "--tags", "server")
    assert done.returncode == 0 and not recap(done)["failed"], failure(done)


def test_a_server_that_was_stopped_fails_what_is_asked_of_it(desk: Desk) -> None:
    assert desk.deployed.inv("stop").returncode == 0
    try:
        found = desk.verify(ask=True)
    finally:
        start(desk)
    said = found.only(SUPERVISED, *ANSWERS)
    assert "state: stopped (should be running)" in said[SUPERVISED]
    assert f"{desk.deployed.http} is not ready" in said["server::the_server_is_ready"]


def test_a_server_without_its_supervisor_answers_and_yet_fails(desk: Desk) -> None:
    os.kill(desk.deployed.supervisor_pid, signal.SIGKILL)
    try:
        found = desk.verify()
    finally:
        start(desk)
    (said,) = found.only(SUPERVISED).values()
    assert "state: unsupervised (should be running)" in said


def test_settings_that_were_never_deployed_are_told(desk: Desk) -> None:
    found = desk.verify("--set", "server.env={NAME: value}")
    (said,) = found.only(SUPERVISED).values()
    assert "env.NAME" in said


_LISTENER = """
import socket, sys
if "tensorrt_llm_bls" in " ".join(open("/proc/self/cmdline").read().split("\\0")):
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    held.listen()
    open({note!r}, "w").write(str(held.getsockname()[1]))
    sys.held = held
"""


def test_a_port_that_something_in_the_server_listens_on_besides_is_named(
    desk: Desk, tmp_path: Path
) -> None:
    note = tmp_path / "port"
    hook = desk.site_packages / "usercustomize.py"
    path = desk.site_packages / "zz_listener.pth"
    hook.write_text(_LISTENER.format(note=str(note)))
    path.write_text("import usercustomize\n")
    try:
        again(desk)
        found = desk.verify()
    finally:
        hook.unlink()
        path.unlink()
        again(desk)
    (said,) = found.only("server::it_listens_where_it_should_and_nowhere_else").values()
    assert f"127.0.0.1:{note.read_text()}" in said, said


def again(desk: Desk) -> None:
    """End the server; its supervisor starts it anew."""
    old = desk.deployed.server_pid
    os.kill(old, signal.SIGKILL)
    until = time.monotonic() + 120
    while not (desk.deployed.is_ready() and desk.deployed.server_pid != old):
        assert time.monotonic() < until
        time.sleep(0.2)


def test_a_secret_setting_is_shown_nowhere(desk: Desk, tmp_path: Path) -> None:
    junit = tmp_path / "verify.xml"
    setting = ("--set", "server.api_key=hush-hush-hush", "--set", "server.openai=true")
    done = desk.deployed.inv("verify", *setting, "--junit", str(junit), "--tags", "server")
    assert done.returncode == 1  # it was deployed without
    assert "hush-hush-hush" not in done.stdout + done.stderr + junit.read_text()
