"""Over SSH: cut the connection, kill the controller's side, or kill the host at every change."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from rolecall.api import Artifact, Command, Directory, File, Job, Resource, Symlink, Tree
from rolecall.testing import (
    begun,
    converge,
    converge_killed,
    job_groups,
    settled,
    snapshot,
)
from tests.rig.sshd import Sshd, descendants

CHANGES = 11


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = Sshd(tmp_path_factory.mktemp("sshd")).start()
    yield server
    server.stop()


def resources(root: Path) -> list[Resource]:
    work = str(root)
    first = Artifact(
        "first", f"{work}/artifacts", (("size", "3"),), "sleep 0.2; echo one >a; mkdir d"
    )
    return [
        Directory(work),
        *(File(f"{work}/file-{number}", f"{number}\n" * 50, "640") for number in range(4)),
        Symlink(f"{work}/link", "file-1"),
        Command("make", f"sleep 0.1; touch {work}/made", f"{work}/made"),
        Job(
            "count", f"sleep 0.2; echo done >{work}/new && mv {work}/new {work}/job", f"{work}/job"
        ),
        first,
        Artifact("second", f"{work}/artifacts", (), 'cp "$USES_FIRST/a" copy', uses=(first,)),
        Tree("tree", f"{work}/trees", (("a/b.txt", "text\n"), ("c.txt", "more\n"))),
    ]


def ignored(name: str) -> bool:
    """Records of when and how long; an artifact's name carries no more than its inputs."""
    return "manifest" in name or ".rolecall/files" in name


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    yield tmp_path / "work", tmp_path / "home"
    for group in job_groups(tmp_path / "home"):
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    base = tmp_path_factory.mktemp("undisturbed")
    wanted = resources(base / "work")
    assert len(wanted) == CHANGES
    result = converge(wanted, base / "home")
    assert set(result.outcomes.values()) == {"changed"}, result.outcomes
    return snapshot(base / "work", ignored)


def kill_all(sshd: Sshd, home: Path) -> None:
    """The connection, every shell and step below it, and the jobs: as a power cut does."""
    assert sshd.process is not None
    for pid in descendants(sshd.process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for group in job_groups(home):
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def let_go(home: Path) -> None:
    """Wait until the shell of the lost connection has finished its step and its lock."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            pid = os.readlink(home / "lock").split(" ")[0].split(":")[1]  # noqa: PTH115
        except OSError:
            return
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.05)
    raise AssertionError("the lock is still held")


def recovers(
    wanted: Sequence[Resource], root: Path, home: Path, sshd: Sshd, expected: object
) -> None:
    result = converge(wanted, home, target=sshd.target())
    assert set(result.outcomes.values()) <= {"ok", "changed"}, result.text
    settled(wanted, home, target=sshd.target())
    assert snapshot(root, ignored) == expected


@pytest.mark.parametrize("boundary", range(1, CHANGES + 1))
@pytest.mark.parametrize("how", ["cut", "sshd", "power"])
def test_cut_off_or_killed_at_a_boundary(
    how: str,
    boundary: int,
    sshd: Sshd,
    place: tuple[Path, Path],
    undisturbed: dict[str, tuple[int, str]],
) -> None:
    root, home = place
    wanted = resources(root)
    ends: dict[str, Callable[[], None]] = {
        "cut": sshd.cut,
        "sshd": sshd.stop,
        "power": lambda: kill_all(sshd, home),
    }
    killed = converge_killed(
        wanted,
        home,
        lambda: begun(home) >= boundary,
        target=sshd.target(),
        kill=ends[how],
    )
    assert killed
    if how == "sshd":
        sshd.start()
    let_go(home)
    recovers(wanted, root, home, sshd, undisturbed)
