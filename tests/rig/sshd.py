"""Tier 1: an sshd on loopback as the current user, with keys of its own. Needs no root."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rolecall.targets.ssh import Address, SshTarget

USER = pwd.getpwuid(os.getuid()).pw_name

#: Where Debian, Fedora and Alpine keep it; often in no user's PATH.
PLACES = "/usr/sbin:/usr/local/sbin:/sbin:/usr/lib/ssh"


def find_sshd() -> str:
    """The path of sshd; skips the test, by name, where it is not installed."""
    found = shutil.which("sshd") or shutil.which("sshd", path=PLACES)
    if found is None:
        pytest.skip("openssh-server is not installed")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd started by root insists on it
    return found


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A new key pair at ``path`` and ``path.pub``."""
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "rig", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


def free_port() -> int:
    """A TCP port on loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass
class Sshd:
    """A running sshd: where it is, how to log in, and what its own log counts.

    Attributes:
        folder: holds ``host_key``, ``key`` (the user's), ``known_hosts`` and ``log``.
    """

    folder: Path
    port: int = field(default_factory=free_port)
    extra: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def key(self) -> Path:
        """The private key that logs in."""
        return self.folder / "key"

    @property
    def known_hosts(self) -> Path:
        """A file with this server's key, and nothing else."""
        return self.folder / "known_hosts"

    @property
    def log(self) -> str:
        """What the server has written, at level VERBOSE."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def connections(self) -> int:
        """TCP connections so far, by the server's own count."""
        return self.log.count("Connection from ")

    @property
    def channels(self) -> int:
        """Sessions (shells and commands) so far, by the server's own count."""
        return self.log.count("Starting session: ")

    @property
    def public_host_key(self) -> str:
        """The host key as one word of kind and one of base64."""
        return " ".join((self.folder / "host_key.pub").read_text().split()[:2])

    def start(self) -> Sshd:
        """Make what is missing, start, and wait for the port to answer.

        Raises:
            AssertionError: it did not come up; its log is shown.
        """
        program = find_sshd()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("host_key", "key"):
            if not (self.folder / name).exists():
                make_key(self.folder / name)
        shutil.copy(self.folder / "key.pub", self.folder / "authorized_keys")
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {self.public_host_key}\n")
        (self.folder / "config").write_text(self._config())
        starts = self.log.count("Server listening") if (self.folder / "log").exists() else 0
        command = [program, "-D", "-f", str(self.folder / "config"), "-E", str(self.folder / "log")]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with suppress(OSError):
                if self.log.count("Server listening") > starts:
                    return self
            assert self.process.poll() is None, self.log
            time.sleep(0.02)
        raise AssertionError(f"sshd did not start: {self.log}")

    def _config(self) -> str:
        folder = self.folder
        return "\n".join(
            [
                *self.extra,
                f"Port {self.port}",
                "ListenAddress 127.0.0.1",
                f'HostKey "{folder}/host_key"',
                f'AuthorizedKeysFile "{folder}/authorized_keys"',
                f'PidFile "{folder}/pid"',
                "PermitRootLogin prohibit-password",
                "PasswordAuthentication no",
                "KbdInteractiveAuthentication no",
                "UsePAM no",
                "StrictModes no",
                "UseDNS no",
                "PrintMotd no",
                "MaxSessions 100",
                "MaxStartups 200:30:400",
                "LogLevel VERBOSE",
                "",
            ]
        )

    def new_host_key(self) -> None:
        """Restart with another host key; ``known_hosts`` still has the old one."""
        known = self.known_hosts.read_text()
        self.stop()
        for name in ("host_key", "host_key.pub"):
            (self.folder / name).unlink()
        self.start()
        self.known_hosts.write_text(known)

    def address(self, **changes: object) -> Address:
        """How to log in; any part of it may be changed."""
        values: dict[str, object] = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": USER,
            "key_files": (str(self.key),),
            "known_hosts": (self.known_hosts,),
        }
        return Address(**(values | changes))  # type: ignore[arg-type]

    def target(self, name: str = "node", **changes: object) -> SshTarget:
        """A target named ``name`` that logs in here."""
        return SshTarget(name, self.address(**changes))

    def sessions(self) -> list[int]:
        """The processes that each carry one connection."""
        assert self.process is not None
        return descendants(self.process.pid, name="sshd")

    def cut(self) -> None:
        """End every connection at once, as a killed sshd does; the server itself goes on."""
        for pid in self.sessions():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """Stop the server and every connection."""
        if self.process is None:
            return
        sessions = self.sessions()
        self.process.terminate()
        self.process.wait(10)
        self.process = None
        for pid in sessions:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def descendants(pid: int, name: str = "") -> list[int]:
    """The processes below ``pid``, parents first; with ``name``, only those so called."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, task.read_text().split()):
                with suppress(OSError):
                    if name in Path(f"/proc/{child}/comm").read_text():
                        found.append(child)
                found += descendants(child, name)
    return found


def fingerprint(path: Path) -> str:
    """The fingerprint of a key, as OpenSSH itself computes it."""
    done = subprocess.run(
        ["ssh-keygen", "-l", "-E", "sha256", "-f", str(path)],
        check=True,
        capture_output=True,
        text=True,
    )
    match = re.search(r"SHA256:\S+", done.stdout)
    assert match
    return match.group()
