"""Tier 2: systemd machines in network namespaces of the tests' own. Needs root.

The root file system (without Python and busybox) is built once and kept; every machine runs on
a copy on write, and nothing of it is left afterwards.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_lowercase

import pytest

from rolecall.targets.ssh import Address, SshTarget
from tests.rig.sshd import descendants, free_port, make_key

SUITE = "bookworm"
PACKAGES = (
    "openssh-server",
    "sudo",
    "iproute2",
    "procps",
    "systemd",
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
)

CACHE = Path(__file__).parents[2] / ".rolecall" / "test-cache"
CGROUPS = Path("/sys/fs/cgroup")
NETNS = Path("/run/netns")

#: Seconds that a machine is given to boot; an idle one takes less than two.
BOOT = 60


def require() -> None:
    """Skip, by name, where something that machines need is missing."""
    if os.getuid() != 0:
        pytest.skip("booting machines needs root")
    for program in ("mmdebstrap", "systemd-nspawn", "ip", "ssh-keygen"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def root_filesystem() -> Path:
    """The file system that all machines share, built on first use (half a minute).

    ``ROLECALL_TEST_ROOT`` names another one.
    """
    if given := os.environ.get("ROLECALL_TEST_ROOT"):
        return Path(given)
    require()
    key = hashlib.sha256(" ".join((SUITE, *PACKAGES)).encode()).hexdigest()[:8]
    place = CACHE / f"{SUITE}-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _build(place)
    return place


def _build(place: Path) -> None:
    beside = place.with_name(f"{place.name}.new")
    subprocess.run(["rm", "-rf", "--one-file-system", "--", str(beside)], check=True)
    done = subprocess.run(
        [
            *("mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
            *(SUITE, str(beside)),
        ],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        pytest.skip(f"no root file system: mmdebstrap said: {done.stderr.strip()[-300:]}")
    for key in beside.glob("etc/ssh/ssh_host_*"):
        key.unlink()
    beside.rename(place)


@dataclass
class Machine:
    """A machine that can be booted, cut off, and lose its power.

    Attributes:
        name: of the machine, its network namespace and its control groups.
        folder: the controller's things: the keys, known_hosts and the console's log.
        address: on the bridge of its network.
        network: the bridge; empty for a machine that shares the network of this one.
        port: of its sshd.
    """

    name: str
    folder: Path
    address: str
    network: str
    overlay: Path
    port: int = 22
    leader: int = 0
    _nspawn: subprocess.Popen[bytes] | None = None
    _log: object = None

    @property
    def root(self) -> Path:
        """The machine's file system, seen from here."""
        return self.folder / "root"

    def enter(self, user: str = "root") -> list[str]:
        """The command that runs another inside, past any network."""
        space = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "-r", "-w"]
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        home = "/root" if user == "root" else f"/home/{user}"
        clean = ["env", "-i", path, f"HOME={home}"]
        return [*space, *clean, *([] if user == "root" else ["runuser", "-u", user, "--"])]

    def sh(self, script: str, user: str = "root") -> str:
        """Run a script inside and return what it printed; it has to succeed."""
        done = subprocess.run(
            [*self.enter(user), "/bin/sh", "-c", script],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def shell(self, user: str, folder: Path) -> str:
        """A program that is a shell of ``user`` in the machine."""
        wrapper = folder / f"sh-{user}"
        wrapper.write_text("#!/bin/sh\nexec " + " ".join([*self.enter(user), "/bin/sh"]) + "\n")
        wrapper.chmod(0o755)
        return str(wrapper)

    def login(self, user: str = "root", **changes: object) -> Address:
        """How to log in; any part of it may be changed."""
        values: dict[str, object] = {
            "host": self.address,
            "port": self.port,
            "user": user,
            "key_files": (str(self.folder / "key"),),
            "known_hosts": (self.folder / "known_hosts",),
        }
        return Address(**(values | changes))  # type: ignore[arg-type]

    def target(self, name: str = "", user: str = "root", **changes: object) -> SshTarget:
        """The machine over SSH."""
        return SshTarget(name or self.name, self.login(user, **changes))

    def add_user(self, user: str, password: str = "") -> None:
        """An account that logs in with the rig's key; it may not use sudo yet."""
        self.sh(
            f"id {user} >/dev/null 2>&1 || useradd -m -s /bin/sh {user}\n"
            f"mkdir -p /home/{user}/.ssh && cp /root/.ssh/authorized_keys /home/{user}/.ssh/\n"
            f"chown -R {user}: /home/{user}/.ssh && chmod 700 /home/{user}/.ssh"
        )
        if password:
            self.sh(f"chpasswd <<'E'\n{user}:{password}\nE")

    def boot(self) -> Machine:
        """Switch on and wait until services and sshd answer."""
        options = ["-q", "--register=no", "--keep-unit", "--console=pipe", "-M", self.name]
        if self.network:
            options.append(f"--network-namespace-path={NETNS / self.name}")
        self._log = log = open(self.folder / "console.log", "a")  # noqa: SIM115 - until power_off
        self._nspawn = subprocess.Popen(
            ["systemd-nspawn", *options, "-D", str(self.root), "--boot"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=self._own_cgroup,
        )
        deadline = time.monotonic() + BOOT
        while time.monotonic() < deadline:
            time.sleep(0.1)
            assert self._nspawn.poll() is None, self._console()
            children = descendants(self._nspawn.pid)
            if not children:
                continue
            self.leader = children[0]
            with suppress(AssertionError, OSError):
                # Of several units, is-active is content with one.
                for unit in ("multi-user.target", "dbus.socket"):
                    self.sh(f"systemctl is-active {unit} >/dev/null")
                socket.create_connection((self.address, self.port), 1).close()
                return self
        raise AssertionError(f"{self.name} did not boot: {self._console()}")

    def _console(self) -> str:
        return (self.folder / "console.log").read_text(errors="replace")[-3000:]

    def partition(self) -> None:
        """Cut the network; nobody is told."""
        self._link("down")

    def heal(self) -> None:
        """Mend the network, and wait until the machine is to be reached again."""
        self._link("up")
        deadline = time.monotonic() + 20
        while self.leader and time.monotonic() < deadline:
            with suppress(OSError):
                socket.create_connection((self.address, self.port), 1).close()
                return

    def _link(self, state: str) -> None:
        subprocess.run(["ip", "link", "set", f"v{self.name}", state], check=True)

    def power_cut(self) -> None:
        """End everything in the machine at once; its disk stays as it is."""
        if self._nspawn is None:
            return
        with suppress(ProcessLookupError):
            os.kill(self.leader or self._nspawn.pid, signal.SIGKILL)  # the kernel ends the rest
        try:
            self._nspawn.wait(10)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait()
        self._nspawn, self.leader = None, 0
        self._log.close()  # type: ignore[attr-defined]

    def _own_cgroup(self) -> None:
        """Move this process to a control group of its own in every version 1 hierarchy."""
        for hierarchy in CGROUPS.iterdir():
            group = hierarchy / self.name
            with suppress(OSError):
                group.mkdir(exist_ok=True)
                for name in ("cpuset.cpus", "cpuset.mems"):
                    if (hierarchy / name).exists():
                        (group / name).write_text((hierarchy / name).read_text())
                (group / "cgroup.procs").write_text(str(os.getpid()))

    def remove_cgroups(self) -> None:
        """Take away what :meth:`boot` made."""
        for hierarchy in CGROUPS.iterdir():
            for folder, _, _ in os.walk(hierarchy / self.name, topdown=False):
                with suppress(OSError):
                    Path(folder).rmdir()


@dataclass
class Rig:
    """Machines on one bridge. Everything is named after this process and goes with the rig."""

    folder: Path
    machines: list[Machine] = field(default_factory=list)
    bridge: str = ""
    _subnet: str = ""
    _stack: ExitStack = field(default_factory=ExitStack)

    def machine(self, *, online: bool = False) -> Machine:
        """A new machine, booted.

        It reaches the others and this one, and nothing else. ``online``, it shares the network
        of this machine instead, and the way to the package registries (see :func:`_go_online`);
        its sshd listens on a port of loopback, and it cannot be partitioned.
        """
        number = len(self.machines) + 1
        name = f"{self.bridge}n{number}"
        if online:
            made = self._make(name, "127.0.0.1", "", free_port())
        else:
            made = self._make(name, f"{self._subnet}.{number + 1}", self.bridge, 22)
        self.machines.append(made)
        return made.boot()

    def open(self) -> None:
        """Make the bridge: with a name and a private network that no other rig has."""
        used = subprocess.run(["ip", "-o", "-4", "addr"], capture_output=True, text=True).stdout
        names = (f"rc{os.getpid()}{letter}" for letter in ascii_lowercase)
        self.bridge = next(name for name in names if not Path("/sys/class/net", name).exists())
        networks = (f"10.213.{(os.getpid() + number) % 250}" for number in range(250))
        self._subnet = next(network for network in networks if f" {network}." not in used)
        _run("ip", "link", "add", self.bridge, "type", "bridge")
        self._stack.callback(_run, "ip", "link", "del", self.bridge)
        _run("ip", "addr", "add", f"{self._subnet}.1/24", "dev", self.bridge)
        _run("ip", "link", "set", self.bridge, "up")

    def _make(self, name: str, address: str, network: str, port: int) -> Machine:
        folder = self.folder / name
        (folder / "root").mkdir(parents=True)
        # An overlay cannot lie on another overlay; a tmpfs can carry it.
        overlay = folder / "overlay"
        overlay.mkdir()
        _run("mount", "-t", "tmpfs", "tmpfs", str(overlay))
        self._stack.callback(_run, "umount", "-l", str(overlay))
        for part in ("upper", "work"):
            (overlay / part).mkdir()
        layers = f"lowerdir={root_filesystem()},upperdir={overlay}/upper,workdir={overlay}/work"
        _run("mount", "-t", "overlay", "overlay", "-o", layers, str(folder / "root"))
        self._stack.callback(_run, "umount", "-l", str(folder / "root"))
        machine = Machine(name, folder, address, network, overlay, port)
        if network:
            _connect(machine, self._stack)
        else:
            _go_online(machine)
        _admit(machine)
        self._stack.callback(machine.remove_cgroups)
        self._stack.callback(machine.power_cut)
        return machine

    def close(self) -> None:
        """Switch everything off and remove it."""
        self._stack.close()


def _connect(machine: Machine, stack: ExitStack) -> None:
    """A namespace with an address, tied to the bridge by a pair of virtual cards."""
    name = machine.name
    _run("ip", "netns", "add", name)
    stack.callback(_run, "ip", "netns", "del", name)
    pair = ["type", "veth", "peer", "name", "host0", "netns", name]
    _run("ip", "link", "add", f"v{name}", *pair)
    _run("ip", "link", "set", f"v{name}", "master", machine.network, "up")
    _run("ip", "-n", name, "link", "set", "lo", "up")
    _run("ip", "-n", name, "addr", "add", f"{machine.address}/24", "dev", "host0")
    _run("ip", "-n", name, "link", "set", "host0", "up")


def _go_online(machine: Machine) -> None:
    """What an administrator has set up here for packages, set up there: names, CAs, pip, apt.

    All of it is this machine's own: the name service, the certificates of local authorities, the
    proxies of the environment, and pip's settings from its ``PIP_…`` variables.
    """
    etc = machine.root / "etc"
    resolv = Path("/etc/resolv.conf")
    if resolv.exists():
        (etc / "resolv.conf").unlink(missing_ok=True)
        (etc / "resolv.conf").write_bytes(resolv.read_bytes())
    authorities = machine.root / "usr/local/share/ca-certificates"
    authorities.mkdir(parents=True, exist_ok=True)
    for certificate in Path("/usr/local/share/ca-certificates").glob("**/*.crt"):
        shutil.copy(certificate, authorities / certificate.name)
    settings = {name: os.environ.get(f"PIP_{name}", "") for name in _PIP}
    lines = [
        f"{name.lower().replace('_', '-')} = {said}" for name, said in settings.items() if said
    ]
    (etc / "pip.conf").write_text("\n".join(["[global]", *lines, ""]))
    proxies = [
        f'Acquire::{scheme}::Proxy "{proxy}";\n'
        for scheme in ("http", "https")
        if (proxy := os.environ.get(f"{scheme}_proxy", ""))
    ]
    (etc / "apt/apt.conf.d/90rig").write_text("".join(proxies))


#: The settings of pip that say where packages come from.
_PIP = ("INDEX_URL", "EXTRA_INDEX_URL", "TRUSTED_HOST", "CERT", "PROXY", "DEFAULT_TIMEOUT")


def _admit(machine: Machine) -> None:
    """Keys of the machine's own, and the controller's key for root."""
    make_key(machine.folder / "key")
    make_key(machine.folder / "host_key")
    ssh = machine.root / "etc/ssh"
    shutil.copy(machine.folder / "host_key", ssh / "rig_key")
    (ssh / "sshd_config.d/rig.conf").write_text(
        f"HostKey /etc/ssh/rig_key\nUseDNS no\nPort {machine.port}\n"
        + ("" if machine.network else f"ListenAddress {machine.address}\n")
    )
    (machine.root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    shutil.copy(machine.folder / "key.pub", machine.root / "root/.ssh/authorized_keys")
    shown = " ".join((machine.folder / "host_key.pub").read_text().split()[:2])
    where = machine.address if machine.port == 22 else f"[{machine.address}]:{machine.port}"
    (machine.folder / "known_hosts").write_text(f"{where} {shown}\n")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


@contextmanager
def rig() -> Iterator[Rig]:
    """A rig without machines yet."""
    require()
    root_filesystem()
    made = Rig(Path(tempfile.mkdtemp(prefix="rolecall-rig-")))
    try:
        made.open()
        yield made
    finally:
        made.close()
        shutil.rmtree(made.folder, ignore_errors=True)
