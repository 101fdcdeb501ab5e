"""On a machine of its own, at every change: the network goes, the controller dies, the disk fills.

What the next run leaves is compared with what an undisturbed run does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rolecall.api import Call, Resource
from rolecall.targets.ssh import Patience
from rolecall.testing import Result, begun, converge, snapshot
from tests.crash.test_ssh import CHANGES, ignored, resources
from tests.integration.loop.acts import Act, exists
from tests.rig.machines import Machine, rig

#: Notices a dead network within seconds.
HASTY = Patience(connect=3, keepalive=1, lost=2)

#: Where everything lies in the machine: a file system of its own, which can be filled.
PLACE = "/srv/small"
ROOT, HOME = Path(PLACE, "work"), Path(PLACE, "home")

#: Bytes that a file takes at least on a tmpfs.
PAGE = 4096

CONTROLLER = """
import json, sys
from pathlib import Path
from rolecall.targets.ssh import Address, SshTarget
from rolecall.testing import converge
from tests.crash.test_machines import HASTY, HOME, ROOT, sent
from tests.crash.test_ssh import resources
host, user, key, known, memory, source = sys.argv[1:]
wanted = [sent(Path(source))] if source else resources(ROOT)
target = SshTarget("node", Address(host, None, user, (key,), (Path(known),), patience=HASTY))
converge(wanted, HOME, target=target, memory=Path(memory))
"""


@dataclass
class Place:
    """The machine's small file system, and a memory of the controller for it."""

    machine: Machine
    memory: Path

    @property
    def seen(self) -> Path:
        """The file system as this machine sees it."""
        return Path(f"/proc/{self.machine.leader}/root{PLACE}")

    def run(self, wanted: list[Resource], **how: object) -> Result:
        """Converge over SSH."""
        target = self.machine.target(patience=HASTY)
        return converge(wanted, HOME, target=target, memory=self.memory, **how)  # type: ignore[arg-type]

    def in_background(self, wanted: list[Resource]) -> threading.Thread:
        """Begin a run."""
        thread = threading.Thread(target=self.run, args=(wanted,), daemon=True)
        thread.start()
        return thread

    def controller(self, source: Path | str = "") -> subprocess.Popen[bytes]:
        """Begin a run in a process of its own: of the resources, or of an upload."""
        login = self.machine.login()
        arguments = [login.host, login.user, login.key_files[0], login.known_hosts[0]]
        return subprocess.Popen(
            [sys.executable, "-c", CONTROLLER, *map(str, [*arguments, self.memory, source])],
            cwd=Path(__file__).parents[2],
            stderr=subprocess.DEVNULL,
        )

    def begun(self) -> int:
        """How many changes were begun."""
        return begun(self.seen / "home")

    def tree(self) -> dict[str, tuple[int, str]]:
        """What the resources have made."""
        return snapshot(self.seen / "work", ignored)

    @property
    def is_locked(self) -> bool:
        """Whether a living shell holds the lock; one that was killed leaves its name there."""
        try:
            pid = (self.seen / "home" / "lock").readlink().name.split(":")[1]
        except OSError:
            return False
        return Path(f"/proc/{self.machine.leader}/root/proc/{pid}").exists()

    def recovers(self, wanted: list[Resource]) -> None:
        """The next run succeeds, and after it there is nothing to do, in one exchange."""
        result = self.run(wanted, lock_wait=30)
        said = [result.why(id_) for id_ in result.done]
        assert set(result.outcomes.values()) <= {"ok", "changed"}, said
        again = self.run(wanted)
        assert (set(again.outcomes.values()), again.exchanges) == ({"ok"}, 1), again.outcomes
        assert not self.is_locked
        for line in (self.seen / "home" / "journal").read_text().splitlines():
            assert not line or line.startswith("{")


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with rig() as made:
        yield made.machine()


@pytest.fixture
def place(machine: Machine, tmp_path: Path) -> Iterator[Place]:
    machine.heal()
    machine.sh(f"mkdir -p {PLACE} && mount -t tmpfs -o size=8m tmpfs {PLACE}")
    yield Place(machine, tmp_path / "memory")
    machine.heal()
    machine.sh(
        f"for i in {HOME}/jobs/*/identity; do [ ! -e $i ] || kill -9 -$(cut -d : -f 2 $i); done\n"
        f"pkill -KILL -f 'sshd: root@[n]otty'; umount -l {PLACE}"
    )


@pytest.fixture(scope="module")
def undisturbed(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> object:
    machine.sh(f"mkdir -p {PLACE} && mount -t tmpfs -o size=8m tmpfs {PLACE}")
    place = Place(machine, tmp_path_factory.mktemp("memory"))
    result = place.run(resources(ROOT))
    assert list(result.outcomes.values()) == ["changed"] * CHANGES, result.outcomes
    tree = place.tree()
    machine.sh(f"umount -l {PLACE}")
    return tree


def wait(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


@pytest.mark.parametrize("boundary", range(1, CHANGES + 1))
def test_cut_off_at_a_boundary(boundary: int, place: Place, undisturbed: object) -> None:
    thread = place.in_background(resources(ROOT))
    wait(lambda: place.begun() >= boundary)
    place.machine.partition()
    thread.join(20)
    assert not thread.is_alive()
    place.machine.heal()
    place.recovers(resources(ROOT))
    assert place.tree() == undisturbed


@pytest.mark.parametrize("boundary", range(1, CHANGES + 1))
def test_killed_at_a_boundary(boundary: int, place: Place, undisturbed: object) -> None:
    with place.controller() as controller:
        wait(lambda: place.begun() >= boundary)
        controller.kill()
    place.recovers(resources(ROOT))
    assert place.tree() == undisturbed


def fill(place: Place, spare: int) -> None:
    """Leave ``spare`` bytes of the disk."""
    info = os.statvfs(place.seen)
    with open(place.seen / "filler", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, info.f_bavail * info.f_frsize - spare)


def test_a_disk_that_is_full_at_any_change(place: Place, undisturbed: object) -> None:
    """Page by page more room, from none to enough: each run ends somewhere else."""
    stopped: set[str] = set()
    unclear: list[tuple[int, str, str]] = []
    for pages in range(200):
        place.machine.sh(f"rm -rf {PLACE}/*")
        fill(place, pages * PAGE)
        result = place.run(resources(ROOT))
        failed = [event for event in result.done.values() if event.outcome == "failed"]
        if not failed:
            break
        (event,) = failed
        if "No space left on device" not in event.reason:
            unclear.append((pages, event.id, event.reason))
        stopped.add(event.id)
        check_nothing_is_half_made(place, result)
        place.machine.sh(f"rm {PLACE}/filler")
        place.recovers(resources(ROOT))
        assert place.tree() == undisturbed, (pages, event.id)
    assert not unclear, unclear
    assert {"host", "file:/srv/small/work/file-3", "artifact:second"} <= stopped, stopped
    assert place.tree() == undisturbed


def check_nothing_is_half_made(place: Place, result: Result) -> None:
    """With the disk still full, what a further run calls ok is what the first one made."""
    made = {id_ for id_, outcome in result.outcomes.items() if outcome == "changed"}
    checked = place.run(resources(ROOT), check=True).outcomes
    assert {id_ for id_, outcome in checked.items() if outcome == "ok"} == made
    for line in journal(place):
        json.loads(line)


def journal(place: Place) -> list[str]:
    """The journal's whole lines: the last one may have been cut short."""
    path = place.seen / "home" / "journal"
    return path.read_text().split("\n")[:-1] if path.exists() else []


def sent(source: Path) -> Act:
    """An upload as a step of a run; done when it is there."""
    there = f"{ROOT}/sent"
    send = Call(lambda target: target.upload(source, there, "640"), "upload")
    return Act("upload", exists(there), send)


@pytest.fixture
def source(place: Place, tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(os.urandom(48 << 20))
    place.machine.sh(f"mount -o remount,size=100m {PLACE}; mkdir {ROOT}")
    return path


def part(place: Place) -> Path | None:
    """The unfinished transfer."""
    return next((place.seen / "work").glob(".rolecall-*"), None)


@pytest.mark.parametrize("how", ["partition", "kill"])
def test_ended_in_the_middle_of_an_upload(place: Place, source: Path, how: str) -> None:
    with place.controller(source) as controller:
        wait(lambda: (found := part(place)) and found.stat().st_size > 1 << 20)
        if how == "kill":
            controller.kill()
        else:
            place.machine.partition()
            controller.wait(20)
            place.machine.heal()
    assert not (place.seen / "work/sent").exists()
    unfinished = part(place)
    assert unfinished
    inode, size = unfinished.stat().st_ino, unfinished.stat().st_size
    assert 0 < size < source.stat().st_size
    place.recovers([sent(source)])
    there = place.seen / "work/sent"
    assert there.read_bytes() == source.read_bytes()
    assert (there.stat().st_ino, there.stat().st_mode & 0o777) == (inode, 0o640)
    assert part(place) is None


def test_a_disk_that_is_full_in_the_middle_of_an_upload(place: Place, source: Path) -> None:
    fill(place, 10 << 20)
    result = place.run([sent(source)])
    assert result.outcomes == {"act:upload": "failed"}
    assert "No space left on device" in result.done["act:upload"].reason
    assert not (place.seen / "work/sent").exists()
    unfinished = part(place)
    assert unfinished
    inode = unfinished.stat().st_ino
    place.machine.sh(f"rm {PLACE}/filler")
    place.recovers([sent(source)])
    assert (place.seen / "work/sent").read_bytes() == source.read_bytes()
    assert (place.seen / "work/sent").stat().st_ino == inode
