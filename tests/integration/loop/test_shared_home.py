"""A home that several pods share: process ids of one mean nothing in another."""

import os
import shutil
import subprocess

import pytest

from tests.integration.loop.acts import makes
from tests.integration.loop.test_lock import Holder
from tests.support import converge


@pytest.fixture(params=["dash", "bash"])
def elsewhere(request, tmp_path):
    """A shell with process ids of its own, as in another pod."""
    inside = shutil.which(request.param) or pytest.skip(f"{request.param} is not installed")
    apart = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    for program in ("unshare", "flock"):
        shutil.which(program) or pytest.skip(f"{program} is not installed")
    if os.getuid() or subprocess.run([*apart, "true"], capture_output=True).returncode:
        pytest.skip("a pid namespace needs root")
    script = tmp_path / "elsewhere"
    script.write_text(f"#!/bin/sh\nexec {' '.join(apart)} {inside}\n")
    script.chmod(0o755)
    return str(script)


@pytest.fixture
def shared(monkeypatch):
    monkeypatch.setenv("ROLECALL_SHARED", "1")


def test_a_lock_that_another_pod_holds_is_respected(tmp_path, home, shared, elsewhere):
    holder = Holder(tmp_path, home, elsewhere)
    run = converge([makes(tmp_path / "b")], home)
    assert "is locked by" in run.done["host"].reason
    assert not (tmp_path / "b").exists()
    holder.let_go()
    holder.wait()
    assert converge([makes(tmp_path / "b")], home).outcomes == {makes(tmp_path / "b").id: "changed"}


def test_the_lock_of_a_pod_that_is_gone_is_nobody_s(tmp_path, home, shared, elsewhere):
    holder = Holder(tmp_path, home, elsewhere)
    holder.target.kill(home)
    holder.wait()
    run = converge([makes(tmp_path / "b")], home)
    assert run.outcomes == {makes(tmp_path / "b").id: "changed"}


def test_a_run_that_changes_nothing_leaves_nothing_behind(tmp_path, home, shared):
    act = makes(tmp_path / "b")
    converge([act], home)
    before = {path: path.lstat().st_mtime_ns for path in home.rglob("*")}
    assert converge([act], home).outcomes == {act.id: "ok"}
    assert {path: path.lstat().st_mtime_ns for path in home.rglob("*")} == before
