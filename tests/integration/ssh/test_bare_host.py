"""The whole deployment on a machine that has nothing but sshd and apt."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.deployed import (
    ROOT,
    Completed,
    events,
    failure,
    free_ports,
    outcomes,
    recap,
)
from tests.rig.machines import Machine, Rig

HOST = "bare"

#: Seconds for one command; a deploy takes half a minute, most of it downloads.
TIMEOUT = 480

HOSTS = """\
all:
  children:
    cpu:
      hosts:
        {host}:
          ansible_host: {address}
          ansible_port: {port}
          ansible_user: {user}
          ansible_ssh_private_key_file: {folder}/key
          ansible_ssh_common_args: -o UserKnownHostsFile={folder}/known_hosts
"""


@dataclass
class Remote:
    """A host of an inventory, and ``./fab`` for it."""

    inventory: Path
    ports: tuple[int, ...]

    def fab(self, *args: str) -> Completed:
        """Run a task there."""
        names = ("http_port", "grpc_port", "metrics_port")
        sets = [
            part
            for name, port in zip(names, self.ports, strict=True)
            for part in ("--set", f"server.{name}={port}")
        ]
        return subprocess.run(
            [str(ROOT / "fab"), "-H", HOST, *args, "--inventory", str(self.inventory), *sets],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )


@pytest.fixture
def bare(machine_rig: Rig) -> Machine:
    machine = machine_rig.machine(online=True)
    fetched = subprocess.run(
        [*machine.enter(), "/bin/sh", "-c", "apt-get update"], capture_output=True, text=True
    )
    if fetched.returncode != 0 or "Failed to fetch" in fetched.stderr:
        pytest.skip(f"the package sources cannot be reached: {fetched.stderr.strip()[-200:]}")
    machine.sh("apt-get clean; rm -rf /var/lib/apt/lists/*")  # as a fresh host has them
    return machine


@pytest.fixture(params=["root", "alice"])
def remote(request: pytest.FixtureRequest, bare: Machine, tmp_path: Path) -> Iterator[Remote]:
    """The host as root reaches it, and as a user who may use sudo without a password."""
    user: str = request.param
    if user != "root":
        bare.add_user(user)
        bare.sh(f"echo '{user} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{user}")
    inventory = tmp_path / "inventory"
    shutil.copytree(ROOT / "inventory" / "group_vars", inventory / "group_vars")
    (inventory / "hosts.yaml").write_text(
        HOSTS.format(host=HOST, address=bare.address, port=bare.port, user=user, folder=bare.folder)
    )
    yield Remote(inventory, free_ports(3))
    forget_facts(HOST)


def forget_facts(host: str) -> None:
    """The next user of the name is another host."""
    for cached in (ROOT / ".rolecall" / "facts").glob(f"{host}-*"):
        cached.unlink()


def test_a_model_is_served_on_a_host_with_nothing_but_sshd_and_apt(
    remote: Remote, bare: Machine
) -> None:
    asked_for = bare.sh("apt-mark showmanual")
    assert not bare.sh("command -v python3 pip curl wget busybox || :")
    first = remote.fab("deploy", "--json")
    assert first.returncode == 0, failure(first)
    assert outcomes(first)["package:python3"] == "changed"
    assert recap(first, HOST)["changed"] > 10

    again = remote.fab("deploy", "--json")
    assert again.returncode == 0, failure(again)
    counts = recap(again, HOST)
    assert counts["changed"] == counts["failed"] == 0
    (done,) = [event for event in events(again) if event["event"] == "host_done"]
    assert done["exchanges"] == 1

    answer = remote.fab("chat", "What is the capital of France?", "--temperature", "0")
    assert answer.returncode == 0, answer.stderr
    assert "Paris" in answer.stdout

    destroyed = remote.fab("destroy", "--yes")
    assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr
    # What came along with a package is apt's to remove: nobody has asked for it.
    assert bare.sh("apt-mark showmanual") == asked_for
    assert not bare.sh("ls -d /root/.rolecall /home/*/.rolecall 2>/dev/null || :")
    running = bare.sh("cat /proc/[0-9]*/comm")
    assert "triton" not in running
