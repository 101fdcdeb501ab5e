"""The ranks of one server under mpirun: Debian's Open MPI where it is installed, and its double."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rolecall.resources.service import Service
from roles.runtime.containers import mount_options
from roles.server import command
from roles.server.settings import Server
from tests.integration.deployed import ROOT
from tests.integration.service.rig import Rig
from tests.rig.containers import BASE, Engine
from tests.support import assert_contract, converge

LAUNCHER = ROOT / "roles/server/launch_ranks.sh"
DOUBLE = ROOT / "tests/doubles"

#: Stands in for tritonserver: takes its options, says so, and leaves on TERM after GRACE.
SERVER = """#!/bin/sh
rank=$OMPI_COMM_WORLD_RANK
echo "rank $rank of $OMPI_COMM_WORLD_SIZE: $*" >>"$WORK/said"
echo $$ >"$WORK/pid.$rank"
trap 'sleep ${GRACE:-0}; echo "rank $rank left" >>"$WORK/said"; exit 0' TERM
[ "$FAIL" != "$rank" ] || exit 9
while :; do sleep 0.1; done
"""


class Place:
    """A directory with the stand-in, and mpirun of one kind on the PATH."""

    def __init__(self, folder: Path, mpirun: str) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        server = folder / "bin/tritonserver"
        server.write_text(SERVER)
        server.chmod(0o755)
        (folder / "bin/mpirun").symlink_to(mpirun)
        self.path = f"{folder}/bin:{os.environ['PATH']}"

    def command(self, world: int, seconds: int = 10) -> list[str]:
        settings = Server(mpirun_options=("--bind-to", "none", "--oversubscribe"))
        options = command.tritonserver(settings, "/repo", "")
        ranks = command.Ranks("mpirun", world)
        return ["/bin/sh", str(LAUNCHER), str(seconds), *command.command(settings, ranks, options)]

    def start(self, world: int, seconds: int = 10, **env: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(world, seconds),
            env={**os.environ, "PATH": self.path, "WORK": str(self.folder), **env},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @property
    def said(self) -> list[str]:
        path = self.folder / "said"
        return path.read_text().splitlines() if path.exists() else []

    def pids(self) -> list[int]:
        return [int(path.read_text() or 0) for path in sorted(self.folder.glob("pid.*"))]

    def wait_for(self, ranks: int) -> None:
        eventually(lambda: len(self.said) >= ranks and 0 not in self.pids())


def eventually(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] not in "ZX"
    except OSError:
        return False


@pytest.fixture(params=["open mpi", "double"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    mpirun: str | None = str(DOUBLE / "mpirun")
    if request.param == "open mpi":
        mpirun = shutil.which("mpirun")
        if mpirun is None:
            pytest.skip("openmpi-bin is not installed")
    assert mpirun is not None
    made = Place(tmp_path, mpirun)
    yield made
    for pid in made.pids():
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def test_each_rank_gets_what_upstreams_launcher_gives_it(place: Place) -> None:
    process = place.start(3)
    place.wait_for(3)
    first, *others = sorted(place.said)
    assert first.startswith("rank 0 of 3: --model-repository=/repo --http-address=127.0.0.1")
    assert first.endswith(
        "--model-control-mode=none --backend-config=python,shm-region-prefix-name=prefix0_"
    )
    for rank, line in enumerate(others, 1):
        assert line.endswith(
            "--model-control-mode=explicit --load-model=tensorrt_llm "
            f"--backend-config=python,shm-region-prefix-name=prefix{rank}_"
        )
        assert "--http-port=8000" in line and "--disable-auto-complete-config" in line
    process.terminate()
    assert process.wait(30) == 0


def test_a_stop_lets_every_rank_finish_and_ends_with_success(place: Place) -> None:
    process = place.start(2, GRACE="3")
    place.wait_for(2)
    started = time.monotonic()
    process.terminate()
    assert process.wait(30) == 0
    assert 2.5 < time.monotonic() - started < 15
    assert [line for line in place.said if line.endswith("left")] != []
    assert len([line for line in place.said if line.endswith("left")]) == 2
    assert not any(alive(pid) for pid in place.pids())


def test_ranks_that_do_not_finish_are_ended(place: Place) -> None:
    process = place.start(2, seconds=2, GRACE="60")
    place.wait_for(2)
    started = time.monotonic()
    process.terminate()
    assert process.wait(30) != 0
    assert time.monotonic() - started < 20
    eventually(lambda: not any(alive(pid) for pid in place.pids()))


def test_a_killed_rank_ends_all_with_its_status(place: Place) -> None:
    process = place.start(2)
    place.wait_for(2)
    os.kill(place.pids()[1], signal.SIGKILL)
    assert process.wait(30) == 137
    eventually(lambda: not any(alive(pid) for pid in place.pids()))


def test_a_failing_rank_ends_all_with_its_status(place: Place) -> None:
    process = place.start(2, FAIL="1")
    assert process.wait(30) == 9
    eventually(lambda: not any(alive(pid) for pid in place.pids()))


def test_a_stop_before_the_ranks_are_there_ends_it(place: Place) -> None:
    process = place.start(2)
    time.sleep(0.05)
    process.terminate()
    process.wait(30)
    eventually(lambda: not any(alive(pid) for pid in place.pids()))


def test_as_a_service_it_is_stopped_gently_and_restarted_when_a_rank_dies(
    place: Place, rig: Rig
) -> None:
    work = place.folder
    variables = (f"PATH={place.path}", f"WORK={work}", "GRACE=2")

    def service(**options: object) -> Service:
        return rig.service(
            command=("/usr/bin/env", *variables, *place.command(2)),
            ready=f"[ -s {work}/pid.0 ] && [ -s {work}/pid.1 ]",
            stop_leader=True,
            stop_timeout=15,
            **options,
        )

    assert_contract([service()], rig.home)
    first = place.pids()
    os.kill(first[1], signal.SIGKILL)
    eventually(lambda: rig.status().get("last_exit") == "ended by signal 9")
    eventually(lambda: set(place.pids()).isdisjoint(first) and rig.status()["ready"] == "yes")
    before = len(place.said)
    assert converge([service(running=False)], rig.home).outcomes == {"service:app": "changed"}
    assert place.said[before:] in (
        ["rank 0 left", "rank 1 left"],
        ["rank 1 left", "rank 0 left"],
    )
    assert not any(alive(pid) for pid in place.pids())


def test_as_process_1_of_a_container_it_is_stopped_gently(podman: Engine, tmp_path: Path) -> None:
    place = Place(tmp_path, "/doubles/mpirun")
    client = subprocess.Popen(
        [
            *(podman.client, "run", "--rm", "--name", "ranks", "--network=host"),
            *mount_options([str(tmp_path)], writable=True),
            *mount_options([str(LAUNCHER.parent)]),
            f"--mount=type=bind,source={DOUBLE},target=/doubles,readonly",
            *(f"--env=PATH={tmp_path}/bin:/usr/bin:/bin", f"--env=WORK={tmp_path}"),
            *("--env=GRACE=2", BASE, *place.command(2)),
        ],
        stdin=subprocess.DEVNULL,
    )
    eventually(lambda: len(place.said) >= 2 and len(list(tmp_path.glob("pid.*"))) == 2)
    client.terminate()  # as the supervisor does
    assert client.wait(30) == 0
    assert sorted(line for line in place.said if line.endswith("left")) == [
        "rank 0 left",
        "rank 1 left",
    ]
    assert podman.names("-a") == []


def test_the_double_refuses_what_mpirun_does_not_know() -> None:
    for wrong in (["--no-such-option", "true"], ["-n", "1", "no-such-program"], ["-n", "1"]):
        done = subprocess.run(
            [str(DOUBLE / "mpirun"), "--allow-run-as-root", *wrong],
            capture_output=True,
            text=True,
        )
        assert done.returncode != 0 and "double" in done.stderr
