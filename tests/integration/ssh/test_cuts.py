"""Connections that end in the middle: the job goes on, and the next run attaches to it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rolecall.resource import Resource
from rolecall.shell import quote
from rolecall.targets.ssh import Patience, SshTarget
from tests.integration.loop.acts import makes
from tests.integration.ssh.controller import job, start
from tests.rig.sshd import Sshd
from tests.support import Result, converge


@pytest.fixture(autouse=True)
def no_job_survives(home: Path) -> Iterator[None]:
    yield
    for identity in home.glob("jobs/*/identity"):
        with suppress(ProcessLookupError, IndexError):
            os.killpg(int(identity.read_text().split(":")[1]), signal.SIGKILL)


def starts(folder: Path) -> int:
    path = folder / "starts"
    return path.read_text().count("start\n") if path.exists() else 0


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def held(home: Path) -> bool:
    """Whether a living shell holds the lock."""
    try:
        identity = os.readlink(home / "lock").split(" ")[0]  # noqa: PTH115 - not a path
        return Path(f"/proc/{identity.split(':')[1]}").exists()
    except OSError:
        return False


class Run:
    """A run in a thread."""

    def __init__(self, resource: Resource, home: Path, target: SshTarget) -> None:
        self.result = Result()
        self._thread = threading.Thread(
            target=self._run, args=(resource, home, target), daemon=True
        )
        self._thread.start()

    def _run(self, resource: Resource, home: Path, target: SshTarget) -> None:
        self.result = converge([resource], home, target=target)

    def wait(self) -> Result:
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.result


def attaches(folder: Path, home: Path, sshd: Sshd) -> None:
    """The next run finds the job, shows it live, and sees it end."""
    second = Run(job(folder), home, sshd.target())
    until(lambda: held(home))
    time.sleep(0.3)
    (folder / "go").touch()
    run = second.wait()
    assert run.outcomes == {"act:job": "changed"}, run.text
    assert run.output[0] == "attached to job build, which is already running"
    assert run.output[1] == "working" and run.output[-1] == "ready"
    assert starts(folder) == 1


def test_a_job_survives_its_connection_and_the_next_run_attaches(
    own_sshd: Sshd, tmp_path: Path, home: Path
) -> None:
    first = Run(job(tmp_path), home, own_sshd.target())
    until(lambda: starts(tmp_path) == 1)
    own_sshd.cut()
    lost = first.wait()
    assert lost.done["host"].outcome == "unreachable"
    assert "run the same command again" in lost.done["host"].hint
    # The shell that followed the job notices soon, and gives the lock up.
    until(lambda: not held(home), 5)
    attaches(tmp_path, home, own_sshd)


def test_a_job_that_ends_while_nobody_is_connected_is_found_done(
    own_sshd: Sshd, tmp_path: Path, home: Path
) -> None:
    first = Run(job(tmp_path), home, own_sshd.target())
    until(lambda: starts(tmp_path) == 1)
    own_sshd.cut()
    first.wait()
    (tmp_path / "go").touch()
    until((tmp_path / "made").exists)
    until(lambda: not held(home), 5)
    assert converge([job(tmp_path)], home, target=own_sshd.target()).outcomes == {"act:job": "ok"}
    assert starts(tmp_path) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_job_survives_its_controller_and_the_next_run_attaches(
    sshd: Sshd, tmp_path: Path, home: Path, how: signal.Signals
) -> None:
    controller = start(sshd.address(), home, tmp_path / "memory", tmp_path)
    until(lambda: starts(tmp_path) == 1)
    controller.send_signal(how)
    controller.wait(20)
    until(lambda: not held(home), 5)
    attaches(tmp_path, home, sshd)


def test_a_job_survives_the_sleep_of_its_controller(sshd: Sshd, tmp_path: Path, home: Path) -> None:
    """A stopped process answers nothing, as a laptop that sleeps, and wakes up where it was."""
    patience = Patience(keepalive=1, lost=2)
    controller = start(sshd.address(patience=patience), home, tmp_path / "memory", tmp_path)
    until(lambda: starts(tmp_path) == 1)
    controller.send_signal(signal.SIGSTOP)
    until(lambda: not held(home), 12)
    attaches(tmp_path, home, sshd)
    controller.send_signal(signal.SIGCONT)
    controller.wait(20)
    assert starts(tmp_path) == 1


def test_a_step_that_is_no_job_ends_with_an_interrupt_and_frees_the_lock(
    sshd: Sshd, tmp_path: Path, home: Path
) -> None:
    pid = tmp_path / "pid"
    step = makes(tmp_path / "a", also=f"echo $$ >{quote(str(pid))}; sleep 1000")
    target = sshd.target()
    opened = target.open_shell
    channels = []

    def opening() -> object:
        channels.append(opened())
        return channels[-1]

    target.open_shell = opening  # type: ignore[method-assign,assignment]
    run = Run(step, home, target)
    until(lambda: pid.exists() and pid.read_text())
    channels[0].interrupt()
    assert run.wait().done["host"].outcome == "unreachable"
    until(lambda: not held(home), 8)
    assert not (tmp_path / "a").exists()


def test_a_step_that_ignores_the_interrupt_is_killed(
    sshd: Sshd, tmp_path: Path, home: Path
) -> None:
    pid = tmp_path / "pid"
    hold = f"sh -c {quote(f'trap : TERM; echo $$ >{quote(str(pid))}; while :; do sleep 1; done')}"
    target = sshd.target(patience=_hasty())
    channel = target.open_shell()
    channel.write(f"{hold}\n".encode())
    until(lambda: pid.exists() and pid.read_text())
    channel.interrupt()
    until(lambda: not Path(f"/proc/{pid.read_text().strip()}").exists(), 5)


def _hasty() -> Patience:
    return Patience(interrupt=0.5)


def test_a_quiet_connection_is_kept_alive(own_sshd: Sshd, tmp_path: Path, home: Path) -> None:
    server = Sshd(tmp_path / "impatient", extra=("ClientAliveInterval 1", "ClientAliveCountMax 1"))
    server.start()
    try:
        step = makes(tmp_path / "a", also="sleep 4")
        run = converge([step], home, target=server.target(patience=Patience(keepalive=1)))
        assert set(run.outcomes.values()) == {"changed"}, run.text
    finally:
        server.stop()
