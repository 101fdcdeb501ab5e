"""Machines that are not ready for a deploy: it says what is wrong and leaves nothing half done."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.project import copy_project
from tests.integration.deployed import (
    Completed,
    Deployment,
    events,
    free_ports,
    outcomes,
    recap,
    run_inv,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts a file system")


@pytest.fixture
def fresh(tmp_path: Path) -> Deployment:
    """A deployment that was never made."""
    http, grpc, metrics = free_ports(3)
    return Deployment(tmp_path / "home", (http, grpc, metrics))


def failed(done: Completed) -> dict[str, str]:
    """The one resource that failed, in a run that ended with status 1 and no traceback."""
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert "Traceback" not in done.stdout + done.stderr
    assert recap(done)["failed"] == 1 and recap(done)["changed"] == 0
    (event,) = [e for e in events(done) if e.get("outcome") == "failed"]
    return {name: str(event[name]) for name in ("id", "reason", "hint")}


def test_a_used_port_is_told_before_anything_is_done(fresh: Deployment) -> None:
    with socket.create_server(("127.0.0.1", fresh.ports[1])):
        done = fresh.inv("deploy", "--json")
        said = failed(done)
        assert said["id"] == "service:triton"
        assert f"127.0.0.1:{fresh.ports[1]} by process {os.getpid()}" in said["reason"]
        assert "another port" in said["hint"]
        assert "not begun: service:triton would be refused" in done.stdout
        assert not fresh.home.exists()
        plain = fresh.inv("deploy")
    assert plain.returncode == 1 and "another process listens" in plain.stdout


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


@as_root
def test_too_small_a_disk_is_told_before_anything_is_done(small_disk: Path) -> None:
    small = Deployment(small_disk / "home", (29991, 29992, 29993))
    said = failed(small.inv("deploy", "--json"))
    assert said["id"] == "requirement:disk for the environment"
    assert f"MiB are free in {small_disk}; the environment needs" in said["reason"]
    assert "rolecall.home" in said["hint"]
    assert not list(small_disk.iterdir())


@as_root
def test_a_disk_that_is_full_is_told_and_destroy_cleans_up(small_disk: Path) -> None:
    small = Deployment(small_disk / "home", (29991, 29992, 29993))
    space = os.statvfs(small_disk)
    (small_disk / "filler").write_bytes(bytes(space.f_bavail * space.f_frsize - 40960))
    done = small.inv("repo", "--json")
    assert done.returncode == 1 and "No space left on device" in done.stdout
    assert small.inv("destroy", "--yes").returncode == 0
    assert not small.home.exists()


def test_without_a_network_that_is_what_is_said(fresh: Deployment) -> None:
    closed = f"http://127.0.0.1:{free_ports(1)[0]}/simple"
    index = {"PIP_INDEX_URL": closed, "PIP_RETRIES": "1", "PIP_FIND_LINKS": ""}
    done = fresh.inv("python", "--json", env=index)
    assert done.returncode == 1
    assert outcomes(done)[f"python-packages:{fresh.home}/python/cpu"] == "failed"
    assert "the package index cannot be reached: check the network" in done.stdout
    assert fresh.inv("destroy", "--yes").returncode == 0
    assert not fresh.home.exists()


def test_a_home_that_cannot_be_made_is_told(tmp_path: Path, fresh: Deployment) -> None:
    (tmp_path / "home").write_text("a file")
    done = fresh.inv("deploy", "--json")
    assert done.returncode == 1 and recap(done)["changed"] == 0
    (over,) = [event for event in events(done) if event["event"] == "host_done"]
    assert "cannot be written" in over["error"] and "rolecall.home" in over["hint"]


@pytest.mark.parametrize("name", ["ü", "with space", "it's", "a$b"])
def test_a_home_that_triton_cannot_live_in_is_refused(tmp_path: Path, name: str) -> None:
    strange = Deployment(tmp_path / name, (29991, 29992, 29993))
    done = strange.inv("deploy")
    assert done.returncode == 2
    assert "Triton's python backend cannot work below" in done.stderr
    assert "set rolecall.home" in done.stderr
    assert not strange.home.exists()


def test_a_python_that_is_missing_is_told(fresh: Deployment) -> None:
    python = ["--set", "python.interpreter=python3.1"]
    said = failed(fresh.inv("deploy", "--json", *python))
    assert said["id"].startswith("venv:")
    assert "python3.1" in said["reason"]
    assert "3.10 or newer, and older than 3.13" in said["reason"] + said["hint"]
    assert not fresh.home.exists()


@pytest.mark.parametrize("release", ["3.8", "3.13"])
def test_a_python_that_is_too_old_or_too_new_is_told(
    fresh: Deployment, tmp_path: Path, release: str
) -> None:
    """The interpreter claims a release that it is not; nothing of it is run but the question."""
    real = shutil.which("python3")
    fake = tmp_path / "python"
    version = f"({release.replace('.', ', ')}, 0, 'final', 0)"
    fake.write_text(
        f"#!/bin/sh\nfor code; do last=$code; done\n"
        f'exec {real} -I -c "import sys; sys.version_info = {version}\n$last"\n'
    )
    fake.chmod(0o755)
    said = failed(fresh.inv("deploy", "--json", "--set", f"python.interpreter={fake}"))
    assert f"is Python {release}" in said["reason"]
    assert "3.10 or newer, and older than 3.13" in said["reason"]
    assert not fresh.home.exists()


@pytest.mark.parametrize(
    ("role", "said"),
    [
        ("model", "there is no serving environment"),
        ("engine", "there is no serving environment"),
        ("repo", "there is no serving environment"),
        ("server", "is not there, and triton is started from it"),
        ("start", "is not there, and triton is started from it"),
    ],
)
def test_a_role_alone_on_a_fresh_machine_says_what_comes_first(
    fresh: Deployment, role: str, said: str
) -> None:
    done = fresh.inv(role, "--json")
    assert done.returncode == 1
    assert said in done.stdout and "  next: " in done.stdout
    assert fresh.inv("destroy", "--yes").returncode == 0
    assert not fresh.home.exists()


def test_commands_about_a_server_that_was_never_deployed(fresh: Deployment) -> None:
    status = fresh.inv("status")
    assert status.returncode == 1
    assert "serving  stopped, not ready" in status.stdout
    assert "./inv deploy makes it" in status.stdout
    for task, message in (
        (["chat", "hi"], "nothing is served on localhost"),
        (["logs"], "the server was never started"),
    ):
        done = fresh.inv(*task)
        assert done.returncode == 1 and message in done.stderr and "next: " in done.stderr
    stop = fresh.inv("stop", "--json")
    assert stop.returncode == 0 and recap(stop)["changed"] == 0
    destroy = fresh.inv("destroy")
    assert destroy.returncode == 0 and "Nothing to remove" in destroy.stdout
    assert not fresh.home.exists()


# --- the project's own folder ------------------------------------------------------------------


def test_a_missing_template_variable_is_told_with_its_place(tmp_path: Path) -> None:
    copy = copy_project(tmp_path / "project")
    template = copy / "templates" / "inflight_batcher_llm" / "ensemble" / "config.pbtxt.j2"
    template.write_text(template.read_text() + "{{ nonsense }}\n")
    home = ["--set", f"rolecall.home={tmp_path}/home"]
    done = run_inv("plan", *home, inv=copy / "inv")
    assert done.returncode in {1, 2}
    assert "Traceback" not in done.stdout + done.stderr
    assert "nonsense" in done.stderr and str(template) in done.stderr
    assert not (tmp_path / "home").exists()


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH on which there is no Python and no uv yet."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "cat", "cmp", "cp", "dirname", "id", "ln", "mv", "readlink", "rm"):
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    return folder


def _python(folder: Path, text: str) -> None:
    (folder / "python3").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "python3").chmod(0o755)


def test_inv_says_which_python_it_needs(tmp_path: Path, tools: Path) -> None:
    copy = copy_project(tmp_path / "project", environment=False)
    for text, found in (
        ('[ "$1" != -V ] || { echo Python 3.8.18; exit; }; exit 1', "Python 3.8.18"),
        ("exit 127", "no Python 3"),
    ):
        _python(tools, text)
        done = run_inv("--list", inv=copy / "inv", env={"PATH": str(tools)})
        assert done.returncode == 1
        assert "Rolecall needs Python 3.10 or newer" in done.stderr and found in done.stderr
        assert "next: " in done.stderr
        assert not (copy / ".venv").exists()


def test_inv_says_what_to_install_where_venv_is_missing(tmp_path: Path, tools: Path) -> None:
    copy = copy_project(tmp_path / "project", environment=False)
    _python(tools, '[ "$1" != -m ] || { echo "ensurepip is not available"; exit 1; }')
    done = run_inv("--list", inv=copy / "inv", env={"PATH": str(tools)})
    assert done.returncode == 1
    assert "apt-get install python3-venv" in done.stderr
    assert "run the same command again" in done.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ns.add_task(nobody)", "NameError: name 'nobody' is not defined"),
        ("ns.add_task(", "SyntaxError: '(' was never closed"),
    ],
)
def test_a_mistake_in_tasks_py_is_told_with_its_line(line: str, said: str, tmp_path: Path) -> None:
    copy = copy_project(tmp_path / "project")
    tasks = copy / "tasks.py"
    number = len(tasks.read_text().splitlines()) + 1
    tasks.write_text(f"{tasks.read_text()}{line}\n")
    done = run_inv("deploy", inv=copy / "inv", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: unexpected {said}" in done.stderr
    assert f"next: mend {tasks}:{number}; its traceback is in {copy}" in done.stderr
    assert "Traceback" not in done.stderr
