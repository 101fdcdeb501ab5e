"""A program part of which is in no session of ours, as a container is."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from rolecall.resources.service import Service
from tests.integration.service.rig import Rig, eventually, free_port
from tests.support import SHELLS, assert_contract, converge, destroy, find_shell, settled

#: Starts a server in a session of its own, and stays: as the client of a container engine does.
CLIENT = """
import pathlib, subprocess, sys, time
work, port = pathlib.Path(sys.argv[1]), sys.argv[2]
server = subprocess.Popen(
    [sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1", "--directory", str(work)],
    start_new_session=True,
)
(work / "server").write_text(str(server.pid))
(work / "up").touch()
print("client", flush=True)
server.wait()
"""


def service(rig: Rig, port: int, **options: object) -> Service:
    """A client whose server the service's hooks know how to find and to end."""
    pid = rig.work / "server"
    client = rig.work / "client.py"
    client.write_text(CLIENT)
    there = f'[ -e {pid} ] && kill -0 "$(cat {pid})" 2>/dev/null'
    values: dict[str, object] = {
        "command": ("/usr/bin/env", "python3", "-u", str(client), str(rig.work), str(port)),
        "listens": (f"127.0.0.1:{port}",),
        "ready": f"grep -q ':{port:04X} [0-9A-F:]* 0A' /proc/net/tcp",
        "outside": f'if {there}; then echo "pid $(cat {pid})"; fi',
        "cleanup": f'if {there}; then kill -KILL "$(cat {pid})"; fi; rm -f {pid}',
        **options,
    }
    return rig.service(**values)


def server(rig: Rig) -> int:
    return int((rig.work / "server").read_text())


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("name", SHELLS)
def test_its_port_is_its_own_and_stopping_ends_it(name: str, rig: Rig, tmp_path: Path) -> None:
    shell = find_shell(name, tmp_path)
    app = service(rig, free_port())
    assert_contract([app], rig.home, shell=shell)
    first = server(rig)
    # A restart is not refused for a port that is held outside.
    other = service(rig, free_port(), env={"A": "1"})
    assert converge([other], rig.home, shell=shell).outcomes == {app.id: "changed"}
    assert not runs(first) and runs(server(rig))
    again = server(rig)
    destroy(other, rig.home)
    assert not runs(again)


def test_a_killed_client_leaves_no_second_server(rig: Rig) -> None:
    app = service(rig, free_port())
    assert_contract([app], rig.home)
    first, client = server(rig), rig.pid
    os.kill(client, signal.SIGKILL)
    eventually(lambda: rig.status().get("pid", str(client)) != str(client))
    eventually(lambda: rig.status()["ready"] == "yes" and runs(server(rig)))
    assert not runs(first)
    settled([app], rig.home)


def test_what_is_left_of_a_killed_supervisor_is_seen_and_ended(rig: Rig) -> None:
    app = service(rig, free_port())
    assert_contract([app], rig.home)
    left = server(rig)
    supervisor, client = rig.supervisor, rig.pid
    os.kill(supervisor, signal.SIGKILL)
    os.kill(client, signal.SIGKILL)
    eventually(lambda: rig.status()["state"] == "leftover")
    stopped = service(rig, free_port(), running=False)
    assert converge([stopped], rig.home).outcomes == {app.id: "changed"}
    assert not runs(left)
    settled([stopped], rig.home)


def test_somebody_elses_port_is_still_refused(rig: Rig) -> None:
    app = service(rig, free_port())
    assert_contract([app], rig.home)
    port = free_port()
    other = subprocess.Popen(["python3", "-m", "http.server", str(port), "--bind", "127.0.0.1"])
    try:
        eventually(lambda: f":{port:04X} " in Path("/proc/net/tcp").read_text())
        done = converge([service(rig, port)], rig.home)
        assert f"by process {other.pid}" in done.reason(app)
    finally:
        other.kill()
        other.wait()


def test_another_way_to_end_it_is_a_change(rig: Rig) -> None:
    port = free_port()
    assert_contract([service(rig, port)], rig.home)
    other = service(rig, port, cleanup="true")
    (change,) = converge([other], rig.home, check=True).done[other.id].changes
    assert change.field == "outside"
