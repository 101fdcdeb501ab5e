"""Two controllers on one host over ssh: the second one is told, waits, or takes the lock away."""

from __future__ import annotations

import getpass
import platform
import re
import time
from collections.abc import Iterator
from subprocess import Popen

import pytest

from tests.integration.fleet.conftest import Make
from tests.integration.fleet.small import Small, until
from tests.rig.sshd import Sshd

WHO = rf"{getpass.getuser()}@{re.escape(platform.node())}"


@pytest.fixture
def project(small: Make, sshd: Sshd) -> Small:
    made = small(["h1", "h2"], sshd)
    made.set("h1", step="touch begun; until [ -e go ]; do sleep 0.1; done")
    return made


@pytest.fixture
def holder(project: Small) -> Iterator[Popen[str]]:
    """A run that holds the lock of h1."""
    run = project.start("deploy", "--hosts", "h1")
    until((project.marks("h1") / "begun").exists)
    yield run
    if run.poll() is None:
        run.kill()
    (project.marks("h1") / "go").touch()
    run.communicate()
    until(lambda: not project.locked("h1"))


def test_the_second_is_told_who_from_where_and_since_when(
    project: Small, holder: Popen[str]
) -> None:
    done = project.inv("deploy", "--hosts", "all")
    assert done.returncode == 1
    said = (
        rf"h1 is locked by {WHO}: run \d{{8}}-\d{{6}}-\w{{4}}, since \d\d:\d\d:\d\d \(\d+ s ago\)"
    )
    assert re.search(said, done.stdout), done.stdout
    assert "--lock-wait 10m" in done.stdout
    assert "h2  done" in done.stdout  # the other host has its turn all the same
    assert project.failed == ["h1"]
    assert holder.poll() is None


def test_a_second_waits_says_so_and_goes_on_when_the_first_is_over(
    project: Small, holder: Popen[str]
) -> None:
    second = project.start("deploy", "--hosts", "h1", "--lock-wait", "10m")
    assert second.stdout is not None
    said = ""
    while "waiting" not in said:
        said += second.stdout.readline()
    assert re.search(rf"warning: waiting: h1 is locked by {WHO}", said)
    (project.marks("h1") / "go").touch()
    out, err = second.communicate(timeout=30)
    assert second.returncode == 0, out + err
    assert "failed=0" in out
    assert holder.wait(10) == 0


def test_a_wait_has_an_end(project: Small, holder: Popen[str]) -> None:
    began = time.monotonic()
    done = project.inv("deploy", "--hosts", "h1", "--lock-wait", "2s")
    assert done.returncode == 1
    assert 2 <= time.monotonic() - began < 15
    assert "waiting: h1 is locked" in done.stdout


def test_unlock_spares_a_living_run_unless_it_is_forced(project: Small, holder: Popen[str]) -> None:
    spared = project.inv("unlock", "--hosts", "h1")
    assert spared.returncode == 1
    assert re.search(rf"h1 is locked by {WHO}", spared.stderr)
    assert "unlock --force --hosts h1 ends that run" in spared.stderr
    assert project.locked("h1") and holder.poll() is None
    forced = project.inv("unlock", "--hosts", "all", "--force")
    assert forced.returncode == 0, forced.stderr
    assert re.fullmatch(r"h1: .*ended\nh2: no lock\n", forced.stdout)
    out, err = holder.communicate(timeout=20)
    assert holder.returncode == 1 and "unreachable=1" in out, out + err
    assert not project.locked("h1")


def test_the_lock_of_a_killed_run_is_taken_over(project: Small, holder: Popen[str]) -> None:
    (project.marks("h1") / "go").touch()
    holder.kill()
    holder.communicate()
    done = project.inv("deploy", "--hosts", "h1", "--lock-wait", "20s")
    assert done.returncode == 0, done.stdout
    assert project.inv("unlock", "--hosts", "h1").stdout == "h1: no lock\n"
