"""Namespaces of a node's own: processes, mounts, network; and control groups below one name.

Everything in the room ends with its first process, which the kernel kills if the test run dies:
pods, their sandboxes, every mount, the network. What a node writes where it cannot be told
otherwise (/run, /var/log, some sysctls) goes to files of the room.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase

from tests.rig.kubernetes.plane import SERVICES
from tests.rig.kubernetes.processes import Server
from tests.rig.sshd import descendants

CGROUPS = Path("/sys/fs/cgroup")

#: The sysctls that a kubelet sets on its host unless they are so already, by
#: pkg/kubelet/cm/container_manager_linux.go of Kubernetes 1.34: it finds these values, as files
#: that lie over the host's.
_SYSCTLS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}

#: The room's folder, inside, by a name that leaves sockets below it room for theirs.
SHORT = Path("/run/room")

_PREFIX = "rolecall-node-"


@dataclass
class Room:
    """A place for a node.

    Attributes:
        folder: for its files.
        name: of its control groups.
        leader: its first process, as seen from outside.
        outside: the address of this machine on the one cable to the room.
        inside: the room's address there; it has no default route.
    """

    folder: Path
    name: str
    leader: int
    outside: str
    inside: str
    _first: Server
    _cable: str

    def enter(self) -> list[str]:
        """The command that runs another inside."""
        return ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "--"]

    def close(self) -> None:
        """End everything inside and remove what outlives it."""
        self._first.kill()
        deadline = time.monotonic() + 30
        while Path(f"/proc/{self.leader}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        subprocess.run(["ip", "link", "del", self._cable], capture_output=True)
        while not _remove_cgroups(self.name) and time.monotonic() < deadline:
            time.sleep(0.1)


def lacking() -> str:
    """Why there can be no room here, if so."""
    tried = subprocess.run([*_unshare(), "true"], capture_output=True, text=True)
    if tried.returncode:
        return f"namespaces: {tried.stderr.strip()}"
    cable = f"rn{os.getpid()}x"
    pair = ["type", "veth", "peer", "name", f"{cable}b"]
    tried = subprocess.run(["ip", "link", "add", cable, *pair], capture_output=True, text=True)
    if tried.returncode:
        return f"a network of their own: {tried.stderr.strip()}"
    _run("ip", "link", "del", cable)
    try:
        _make_cgroups(name := f"{_PREFIX}{os.getpid()}-x")
        _remove_cgroups(name)
    except OSError as error:
        return f"control groups: {error}"
    return ""


def make(folder: Path) -> Room:
    """A room with its files in an empty folder; needs root."""
    sweep()
    letters = (letter for letter in ascii_lowercase if not _cable(letter)[1].exists())
    cable = _cable(letter := next(letters))[0]
    name = f"{_PREFIX}{os.getpid()}-{letter}"
    _make_cgroups(name)
    first = Server(folder / "room.log", [*_unshare(), "sh", "-euc", _furnish(folder)])
    outside, inside = _addresses()
    room = Room(folder, name, 0, outside, inside, first, cable)
    try:
        room.leader = _leader(first, folder / "furnished")
        _connect(room)
    except BaseException:
        room.close()
        raise
    return room


def _cable(letter: str) -> tuple[str, Path]:
    """The name of one of this process's cables, and where it is if it is."""
    name = f"rn{os.getpid()}{letter}"
    return name, Path("/sys/class/net", name)


def _unshare() -> list[str]:
    spaces = ("--mount", "--pid", "--net", "--uts", "--ipc")
    return ["unshare", *spaces, "--fork", "--kill-child=SIGKILL", "--mount-proc"]


def _furnish(folder: Path) -> str:
    """The script of the first process; at its end it collects what others leave behind."""
    lines = ["mount --make-rshared /", "mount -t tmpfs -o mode=755 run /run"]
    (folder / "log").mkdir()
    here = shlex.quote(str(folder))
    lines.append(f"mount --bind {here}/log /var/log")
    lines.append(f"mkdir {SHORT} && mount --bind {here} {SHORT}")
    for number, (name, value) in enumerate(_SYSCTLS.items()):
        if Path("/proc/sys", name).exists():
            file = folder / f"sysctl-{number}"
            file.write_text(f"{value}\n")
            lines.append(f"mount --bind {shlex.quote(str(file))} /proc/sys/{name}")
    lines += ["ip link set lo up", f": >{here}/furnished"]
    lines += ["while :; do sleep 3600 & wait; done"]
    return "\n".join(lines)


def _leader(first: Server, furnished: Path) -> int:
    deadline = time.monotonic() + 30
    while not furnished.exists():
        assert not first.ended, f"no namespaces: {first.tail()}"
        assert time.monotonic() < deadline, f"no namespaces after 30 s: {first.tail()}"
        time.sleep(0.02)
    return descendants(first.pid)[0]


def _addresses() -> tuple[str, str]:
    used = subprocess.run(["ip", "-o", "-4", "addr"], capture_output=True, text=True).stdout
    networks = (f"10.214.{(os.getpid() + number) % 250}" for number in range(250))
    network = next(network for network in networks if f" {network}." not in used)
    return f"{network}.1", f"{network}.2"


def _connect(room: Room) -> None:
    leader = str(room.leader)
    cable = ["type", "veth", "peer", "name", "eth0", "netns", leader]
    _run("ip", "link", "add", room._cable, *cable)
    _run("ip", "addr", "add", f"{room.outside}/30", "dev", room._cable)
    _run("ip", "link", "set", room._cable, "up")
    inside = ["nsenter", "-t", leader, "-n", "ip"]
    _run(*inside, "addr", "add", f"{room.inside}/30", "dev", "eth0")
    _run(*inside, "link", "set", "eth0", "up")
    # A Service's address is never on the wire, but only what has a route is rewritten.
    _run(*inside, "route", "add", SERVICES, "dev", "eth0")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


def _hierarchies() -> Iterator[Path]:
    if (CGROUPS / "cgroup.controllers").exists():
        yield CGROUPS
    else:
        yield from (place for place in CGROUPS.iterdir() if place.is_dir())


def _make_cgroups(name: str) -> None:
    for hierarchy in _hierarchies():
        if hierarchy == CGROUPS:  # version 2, where a group has what its parent passes on
            for controller in ("cpu", "cpuset", "io", "memory", "pids"):
                with suppress(OSError):
                    (hierarchy / "cgroup.subtree_control").write_text(f"+{controller}")
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            # Version 1 begins with none, version 2 with all.
            if (hierarchy / setting).exists():
                (group / setting).write_text((hierarchy / setting).read_text())


def _remove_cgroups(name: str) -> bool:
    """Whether nothing is left of them."""
    groups = [hierarchy / name for hierarchy in _hierarchies()]
    for group in groups:
        for folder, _, _ in os.walk(group, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
    return not any(group.exists() for group in groups)


def sweep() -> None:
    """Remove the control groups of runs that were killed."""
    names = {place.name for at in _hierarchies() for place in at.glob(f"{_PREFIX}*")}
    for name in names:
        if not Path("/proc", name.removeprefix(_PREFIX).partition("-")[0]).exists():
            _remove_cgroups(name)
