"""Services where systemd is process 1: a container booted for these tests.

``ROLECALL_TEST_ROOT`` names a Debian tree with systemd-sysv, dbus, libpam-systemd and sudo, as
``mmdebstrap --variant=minbase --include=...`` makes it. The container runs on a copy on write.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from rolecall.resources.service import Service, status_script
from rolecall.shell import quote
from tests.support import assert_contract, converge, settled

MACHINE = f"rc{os.getpid()}"
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Machine:
    """A booted container: the number of its process 1, seen from here."""

    leader: int

    def enter(self, user: str) -> list[str]:
        space = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "-r", "-w"]
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        home = "/root" if user == "root" else f"/home/{user}"
        clean = ["env", "-i", path, f"HOME={home}"]
        return [*space, *clean, *([] if user == "root" else ["runuser", "-u", user, "--"])]

    def sh(self, script: str, user: str = "root") -> str:
        done = subprocess.run(
            [*self.enter(user), "/bin/sh", "-c", script], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def shell(self, user: str, folder: Path) -> str:
        """A program that is a shell of ``user`` in the machine."""
        wrapper = folder / f"sh-{user}"
        wrapper.write_text("#!/bin/sh\nexec " + " ".join([*self.enter(user), "/bin/sh"]) + "\n")
        wrapper.chmod(0o755)
        return str(wrapper)


def own_cgroup() -> None:
    """Move this process to a control group of its own in every version 1 hierarchy."""
    for hierarchy in CGROUPS.iterdir():
        group = hierarchy / MACHINE
        with suppress(OSError):
            group.mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):
                if (hierarchy / name).exists():
                    (group / name).write_text((hierarchy / name).read_text())
            (group / "cgroup.procs").write_text(str(os.getpid()))


def remove_cgroups() -> None:
    for hierarchy in CGROUPS.iterdir():
        for folder, _, _ in os.walk(hierarchy / MACHINE, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    base = os.environ.get("ROLECALL_TEST_ROOT", "")
    if not base:
        pytest.skip("ROLECALL_TEST_ROOT names no tree to boot")
    if os.getuid() != 0:
        pytest.skip("booting a container needs root")
    if shutil.which("systemd-nspawn") is None:
        pytest.skip("systemd-nspawn is not installed")
    folder = tmp_path_factory.mktemp("machine")
    for name in ("upper", "overlay", "root"):
        (folder / name).mkdir()
    # An overlay cannot lie on another overlay; a tmpfs can carry it.
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder / "overlay")], check=True)
    for name in ("upper", "work"):
        (folder / "overlay" / name).mkdir()
    layers = f"lowerdir={base},upperdir={folder}/overlay/upper,workdir={folder}/overlay/work"
    subprocess.run(
        ["mount", "-t", "overlay", "overlay", "-o", layers, str(folder / "root")], check=True
    )
    options = ["-q", "--register=no", "--keep-unit", "--private-network", "--console=pipe"]
    log = open(folder / "boot.log", "w")  # noqa: SIM115 - closed with the machine
    nspawn = subprocess.Popen(
        ["systemd-nspawn", *options, "-M", MACHINE, "-D", str(folder / "root"), "--boot"],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        preexec_fn=own_cgroup,
    )
    try:
        yield wait_for_boot(nspawn, folder / "boot.log")
    finally:
        nspawn.send_signal(signal.SIGTERM)
        try:
            nspawn.wait(20)
        except subprocess.TimeoutExpired:
            nspawn.kill()
            nspawn.wait()
        log.close()
        subprocess.run(["umount", "-l", str(folder / "root")], check=False)
        subprocess.run(["umount", "-l", str(folder / "overlay")], check=False)
        remove_cgroups()


def wait_for_boot(nspawn: subprocess.Popen[bytes], log: Path) -> Machine:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.2)
        assert nspawn.poll() is None, log.read_text()
        children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children").read_text().split()
        if not children:
            continue
        machine = Machine(int(children[0]))
        with suppress(AssertionError):
            machine.sh("systemctl is-active multi-user.target dbus.socket >/dev/null")
            machine.sh("useradd -m -s /bin/sh joe && mkdir -p /srv/rolecall")
            machine.sh("echo 'joe ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/joe")
            return machine
    raise AssertionError(f"the machine did not boot: {log.read_text()}")


def service(owner: str) -> Service:
    home = "/srv/rolecall" if owner == "root" else f"/home/{owner}"
    return Service(
        "app",
        ("/bin/sh", "-c", 'echo "hello $T"; while :; do sleep 1000; done'),
        f"{home}/it's 50% of $HOME",
        secret_env={"T": "s3cret"},
        init="systemd",
    )


@pytest.mark.parametrize(("login", "sudo"), [("root", False), ("joe", False), ("joe", True)])
def test_systemd_keeps_it(login: str, sudo: bool, machine: Machine, tmp_path: Path) -> None:
    user = "root" if sudo else login
    shell, app = machine.shell(login, tmp_path), dataclasses.replace(service(user), sudo=sudo)
    # Rolecall's own directory is in the machine; what the controller remembers is here.
    home = tmp_path / "home"
    machine.sh(f"mkdir -p -m 777 {tmp_path}")
    systemctl = "systemctl"
    if user != "root":
        systemctl = "XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user"

    def status() -> dict[str, str]:
        lines = machine.sh(status_script(app.directory), user).splitlines()
        return dict(line.split("=", 1) for line in lines)

    assert_contract([app], home, shell)
    unit = "rolecall-app.service"
    assert machine.sh(f"{systemctl} is-active {unit}", user) == "active"
    assert machine.sh(f"{systemctl} is-enabled {unit}", user) == "enabled"
    main = machine.sh(f"{systemctl} show -p MainPID --value {unit}", user)
    supervisor = machine.sh(f"readlink {quote(app.directory)}/supervisor")
    assert main == supervisor.split(":")[1]

    # The program is killed, then its supervisor, then both at once.
    first = status()["pid"]
    machine.sh(f"kill -9 {first}")
    wait(lambda: status().get("pid", first) != first)
    settled([app], home, shell)
    second = status()["pid"]
    machine.sh(f"kill -9 {main}")
    wait(lambda: status()["state"] == "running" and status()["pid"] != second)
    settled([app], home, shell)
    assert machine.sh(f"ps -p {second} -o pid= || :") == ""

    # A change restarts; the unit is only reloaded when it changed.
    other = dataclasses.replace(app, env={"A": "1"}, stop_timeout=3)
    assert converge([other], home, shell=shell).outcomes == {app.id: "changed"}
    settled([other], home, shell)
    assert machine.sh(f"{systemctl} show -p TimeoutStopUSec --value {unit}", user) == "18s"

    stopped = dataclasses.replace(other, running=False)
    assert_contract([stopped], home, shell)
    assert machine.sh(f"{systemctl} is-active {unit} || :", user) == "inactive"
    assert machine.sh(f"{systemctl} is-enabled {unit} || :", user) == "disabled"
    assert_contract([other], home, shell)

    # What does not come up fails and is stopped.
    broken = dataclasses.replace(other, command=("/bin/sh", "-c", "echo broken; exit 4"))
    failed = converge([broken], home, shell=shell)
    assert failed.outcomes == {app.id: "failed"}
    assert "exited with status 4" in failed.reason(app)
    assert machine.sh(f"{systemctl} is-active {unit} || :", user) == "inactive"
    assert converge([other], home, shell=shell).outcomes == {app.id: "changed"}

    machine.sh(last_removal(machine.sh(f"cat {home}/journal", user)), user)
    assert machine.sh(f"{systemctl} list-unit-files {unit} --no-legend || :", user) == ""
    assert status() == {"state": "stopped", "ready": "no"}


def test_without_a_unit_it_outlives_the_sudo_that_started_it(
    machine: Machine, tmp_path: Path
) -> None:
    shell = machine.shell("joe", tmp_path)
    app = dataclasses.replace(service("root"), sudo=True, init="none")
    home = tmp_path / "home"
    machine.sh(f"mkdir -p -m 777 {tmp_path}")
    assert_contract([app], home, shell)
    assert "state=running" in machine.sh(status_script(app.directory))
    machine.sh(last_removal(machine.sh(f"cat {home}/journal")))
    assert machine.sh("pgrep -f 'sleep 100[0]|supervis[e]' || :") == ""


def last_removal(journal: str) -> str:
    records = [json.loads(line) for line in journal.splitlines()]
    removal = [record["removal"] for record in records if record.get("removal")][-1]
    return f"set -e\n{removal['script']}\n{removal['gone']}"


def wait(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
