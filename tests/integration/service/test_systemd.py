"""Services where systemd is process 1: a machine of the rig."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rolecall.resources.service import Service, ServiceRollback, status_script
from rolecall.shell import quote
from tests.rig.machines import Machine
from tests.support import assert_contract, converge, settled


@pytest.fixture(scope="module", autouse=True)
def joe(machine: Machine) -> None:
    machine.add_user("joe")
    machine.sh("echo 'joe ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/joe; mkdir -p /srv/rolecall")


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


@pytest.mark.parametrize("login", ["root", "joe"])
def test_what_was_served_before_comes_back_with_its_unit(
    login: str, machine: Machine, tmp_path: Path
) -> None:
    shell, app = machine.shell(login, tmp_path), service(login)
    home = tmp_path / "home"
    machine.sh(f"mkdir -p -m 777 {tmp_path}")
    assert_contract([app], home, shell)
    other = dataclasses.replace(app, env={"A": "1"})
    converge([other], home, shell=shell)
    converge([dataclasses.replace(other, running=False)], home, shell=shell)
    status = machine.sh(status_script(app.directory), login).splitlines()
    (previous,) = [line.split("=")[1] for line in status if line.startswith("previous=")]
    back = ServiceRollback(app.service, app.directory, previous)
    assert_contract([back], home, shell)
    settled([app], home, shell)
    machine.sh(last_removal(machine.sh(f"cat {home}/journal", login)), login)


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
