"""Hosts to bring the state to: several sshd on loopback, each with a home directory of its own."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.peers.environments import NotInstalled
from tests.rig.sshd import USER, Sshd


@dataclass(frozen=True)
class BenchHost:
    """A host: how to log in, and the folder that stands for its disk."""

    name: str
    port: int
    key: Path
    known_hosts: Path
    folder: Path

    def root(self, tool: str) -> Path:
        """Where a tool makes its tree here."""
        return self.folder / tool

    def ssh_config(self) -> str:
        """How OpenSSH, and what reads its configuration, logs in."""
        return (
            f"Host {self.name}\n  HostName 127.0.0.1\n  Port {self.port}\n  User {USER}\n"
            f"  IdentityFile {self.key}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.known_hosts}\n  GlobalKnownHostsFile /dev/null\n"
        )


@dataclass(frozen=True)
class Fleet:
    """Hosts that run, and an ssh_config that names them."""

    hosts: tuple[BenchHost, ...]
    ssh_config: Path

    def first(self, number: int) -> Fleet:
        """The first of them."""
        return Fleet(self.hosts[:number], self.ssh_config)

    def bare_ssh(self) -> float:
        """Seconds of a bare ``ssh HOST true`` on every host at once."""
        started = time.perf_counter()
        processes = [
            subprocess.Popen(
                ["ssh", "-F", str(self.ssh_config), host.name, "true"], stdin=subprocess.DEVNULL
            )
            for host in self.hosts
        ]
        statuses = [process.wait() for process in processes]
        seconds = time.perf_counter() - started
        if any(statuses):
            raise RuntimeError("a bare ssh to the loopback sshd failed")
        return seconds

    def wipe(self, tool: str) -> None:
        """Take away what a tool made."""
        for host in self.hosts:
            shutil.rmtree(host.root(tool), ignore_errors=True)
            host.root(tool).mkdir(parents=True)


@contextmanager
def running(folder: Path, names: Sequence[str], servers: int) -> Iterator[Fleet]:
    """Hosts for ``names``, on ``servers`` sshd in turn.

    Where each host has an sshd of its own, it also has a home of its own: the login shell there
    reads no profile of the user's, as on a freshly installed machine.

    Raises:
        NotInstalled: there is no sshd.
    """
    with ExitStack() as stack:
        started: list[Sshd] = []
        for number in range(servers):
            home = folder / f"home{number}"
            home.mkdir(parents=True)
            extra = [f'SetEnv HOME="{home}"', "Subsystem sftp internal-sftp"]
            try:
                started.append(Sshd(folder / f"sshd{number}", extra=extra).start())
            except pytest.skip.Exception as error:  # how the rig says that there is no sshd
                raise NotInstalled(str(error)) from error
            stack.callback(started[-1].stop)
        hosts = tuple(
            BenchHost(
                name,
                (server := started[number % servers]).port,
                server.key,
                server.known_hosts,
                folder / "hosts" / name,
            )
            for number, name in enumerate(names)
        )
        config = folder / "ssh_config"
        config.write_text("".join(host.ssh_config() for host in hosts))
        yield Fleet(hosts, config)
