"""Kill everything on the host at every resource boundary and at random moments of a run of all
the cheap kinds of resource: the next run ends in the same state as an undisturbed one."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from rolecall.api import (
    Artifact,
    Command,
    Directory,
    File,
    Job,
    Resource,
    Service,
    Symlink,
    Tree,
)
from tests.support import converge, converge_killed, settled

SEEDS = range(8)


def resources(root: Path, home: Path) -> list[Resource]:
    work = str(root)
    first = Artifact(
        "first",
        f"{work}/artifacts",
        (("size", "3"),),
        "sleep 0.1; echo one >a; mkdir d; echo 2 >d/b",
    )
    second = Artifact(
        "second", f"{work}/artifacts", (), 'sleep 0.1; cp "$USES_FIRST/a" copy', uses=(first,)
    )
    return [
        Directory(work),
        *(File(f"{work}/file-{number}", f"{number}\n" * 50, "640") for number in range(6)),
        Symlink(f"{work}/link", "file-1"),
        Command("append", f"echo x >>{work}/log; sleep 0.05; touch {work}/made", f"{work}/made"),
        Job(
            "count", f"sleep 0.1; echo done >{work}/new && mv {work}/new {work}/job", f"{work}/job"
        ),
        first,
        second,
        Tree("tree", f"{work}/trees", (("a/b.txt", "text\n"), ("c.txt", "more\n"))),
        Service("idle", ("/bin/sleep", "1000"), str(home / "idle"), ready="true"),
    ]


def content(root: Path) -> str:
    """What a run is about: names, modes and contents, without times and without scratch files."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if "manifest" in name or ".rolecall/files" in name or name == "log":
            continue
        digest.update(f"{name} {path.lstat().st_mode}".encode())
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Path]:
    """A home whose service is stopped in the end."""
    home = tmp_path / "home"
    yield home
    if (home / "idle").exists():
        stop = Service("idle", ("/bin/sleep", "1000"), str(home / "idle"), running=False)
        converge([stop], home)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    base = tmp_path_factory.mktemp("undisturbed")
    wanted = resources(base / "work", base / "home")[:-1]
    result = converge(wanted, base / "home")
    assert set(result.outcomes.values()) == {"changed"}, result.outcomes
    return content(base / "work")


def begun(home: Path) -> int:
    journal = home / "journal"
    return journal.read_text().count('"state":"begin"') if journal.exists() else 0


def recovers(wanted: Sequence[Resource], root: Path, home: Path, expected: str) -> None:
    result = converge(wanted, home)
    assert set(result.outcomes.values()) <= {"ok", "changed"}, result.done
    settled(wanted, home)
    assert content(root) == expected


@pytest.mark.parametrize("boundary", range(1, 15))
def test_killed_at_a_boundary(
    boundary: int, tmp_path: Path, stopped: Path, undisturbed: str
) -> None:
    wanted = resources(tmp_path / "work", stopped)
    killed = converge_killed(wanted, stopped, lambda: begun(stopped) >= boundary)
    assert killed
    recovers(wanted, tmp_path / "work", stopped, undisturbed)


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_again_and_again_at_random_moments(
    seed: int, tmp_path: Path, stopped: Path, undisturbed: str
) -> None:
    chance = random.Random(seed)
    wanted = resources(tmp_path / "work", stopped)
    for _ in range(4):
        patience = chance.randrange(1, 120)

        def when(countdown: list[int] = [patience]) -> bool:  # noqa: B006 - one list a round
            countdown[0] -= 1
            return countdown[0] <= 0

        converge_killed(wanted, stopped, when)
    recovers(wanted, tmp_path / "work", stopped, undisturbed)
