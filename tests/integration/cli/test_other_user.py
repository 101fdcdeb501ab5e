"""A user without root and sudo, from a fresh copy of the project to its end."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.cli.project import as_user, copy_project
from tests.integration.deployed import Completed, failure, free_ports, outcomes, recap
from tests.support import tree_digest

#: ``nobody`` on every Linux.
UID = 65534

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: becomes another user"),
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux"),
]


@dataclass(frozen=True)
class Stranger:
    """A user with a copy of the project and a home directory."""

    project: Path
    home: Path
    sets: tuple[str, ...]

    def inv(self, *args: str) -> Completed:
        return as_user(UID, [str(self.project / "inv"), *args, *self.sets], self.home)

    @property
    def state(self) -> Path:
        """Rolecall's own directory, where it is by default."""
        return self.home / ".rolecall"


@pytest.fixture(scope="module")
def stranger() -> Iterator[Stranger]:
    # pytest's own temporary folders are closed to other users.
    root = Path(tempfile.mkdtemp(prefix="rolecall-stranger-"))
    root.chmod(0o755)
    project, home = copy_project(root / "project", environment=False), root / "home"
    home.mkdir()
    for path in (project, home, *project.rglob("*")):
        os.chown(path, UID, UID)
    names = ("http_port", "grpc_port", "metrics_port")
    sets = [f"server.{name}={port}" for name, port in zip(names, free_ports(3), strict=True)]
    one = Stranger(project, home, tuple(part for text in sets for part in ("--set", text)))
    try:
        done = one.inv("deploy", "--json")
        assert done.returncode == 0, failure(done)
        yield one
    finally:
        one.inv("destroy", "--yes")
        shutil.rmtree(root)


def test_everything_works_without_root(stranger: Stranger) -> None:
    done = stranger.inv("deploy", "--json")
    assert done.returncode == 0 and recap(done)["changed"] == 0
    assert stranger.inv("status").returncode == 0
    answer = stranger.inv("chat", "What is the capital of France?", "--temperature", "0")
    assert "Paris" in answer.stdout
    private = stranger.state.stat()
    assert (private.st_uid, private.st_mode & 0o077) == (UID, 0)


def test_a_read_only_project_serves_as_well(stranger: Stranger) -> None:
    """Neither facts nor the record of the run can be kept; that is said and hurts nothing."""
    shutil.rmtree(stranger.project / ".rolecall" / "facts")
    paths = [path for path in (stranger.project, *stranger.project.rglob("*")) if path.is_dir()]
    for path in paths:
        os.chown(path, 0, 0)
    try:
        done = stranger.inv("deploy")
        assert done.returncode == 0, done.stderr
        assert "changed=0" in done.stdout.splitlines()[-1]
        assert "Permission denied" in done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        assert stranger.inv("plan", "--detailed-exitcode").returncode == 0
    finally:
        for path in paths:
            os.chown(path, UID, UID)


def test_a_home_that_is_not_writable_is_told(stranger: Stranger) -> None:
    done = stranger.inv("python", "--set", "rolecall.home=/var/lib/of-somebody-else")
    assert done.returncode == 1
    assert "/var/lib/of-somebody-else cannot be written" in done.stdout
    assert "rolecall.home to another directory" in done.stdout


def test_an_environment_of_another_user_is_left_alone(stranger: Stranger) -> None:
    lock = stranger.project / "requirements.lock"
    text = lock.read_text()
    environment = stranger.project / ".venv"
    lock.write_text(f"{text}\n")
    os.chown(environment, 0, 0)
    try:
        done = stranger.inv("--list")
        assert done.returncode == 1
        assert f"cannot write in {environment}" in done.stderr and "next: " in done.stderr
        assert (environment / "bin" / "python").exists()
    finally:
        os.chown(environment, UID, UID)
        lock.write_text(text)


def test_destroy_removes_what_was_made_and_nothing_else(stranger: Stranger) -> None:
    mine = [stranger.state / "notes.txt", stranger.state / "artifacts" / "mine" / "file"]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("the user's own")
        os.chown(path, UID, UID)
        os.chown(path.parent, UID, UID)
    refused = stranger.inv("destroy")
    assert refused.returncode == 2
    assert "there is no terminal" in refused.stderr and "--yes" in refused.stderr
    before = tree_digest(stranger.state / "artifacts")
    check = stranger.inv("destroy", "--check", "--json")
    assert check.returncode == 0 and set(outcomes(check).values()) == {"ok", "would change"}
    assert tree_digest(stranger.state / "artifacts") == before
    assert stranger.inv("status").returncode == 0

    done = stranger.inv("destroy", "--yes", "--json")
    assert done.returncode == 0 and recap(done)["failed"] == 0
    left = {path for path in stranger.state.rglob("*") if path.is_file()}
    assert left == set(mine)
    again = stranger.inv("destroy", "--yes")
    assert again.returncode == 0 and "Nothing to remove" in again.stdout
    for path in mine:
        assert path.read_text() == "the user's own"
    shutil.rmtree(stranger.state)

    planned = stranger.inv("plan", "--detailed-exitcode")
    assert planned.returncode == 2
    assert stranger.inv("python", "--json").returncode == 0
    assert stranger.inv("destroy", "--yes").returncode == 0
    assert not stranger.state.exists()
