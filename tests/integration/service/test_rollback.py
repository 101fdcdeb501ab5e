"""What was served before is served again, in one restart."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from rolecall.resources.service import Service, ServiceRollback
from tests.integration.service.rig import Rig, free_port, gone
from tests.support import SHELLS, assert_contract, converge, converge_killed, find_shell, settled


def version(rig: Rig, name: str, **options: object) -> Service:
    """The service as started from an artifact of that name."""
    artifact = rig.work / name
    artifact.mkdir(exist_ok=True)
    return rig.service(env={"VERSION": name}, requires=(str(artifact),), **options)


def rollback(rig: Rig) -> ServiceRollback:
    """What the task converges: the start that the host names."""
    return ServiceRollback("app", str(rig.directory), rig.status().get("previous", ""))


def starts(rig: Rig) -> int:
    return len((rig.work / "starts").read_text().splitlines())


@pytest.mark.parametrize("name", SHELLS)
def test_the_way_back_is_one_restart_and_leads_forward_again(
    name: str, rig: Rig, tmp_path: Path
) -> None:
    shell = find_shell(name, tmp_path)
    one, two = version(rig, "one"), version(rig, "two")
    converge([one], rig.home, shell=shell)
    assert "previous" not in rig.status()
    converge([two], rig.home, shell=shell)
    before = rig.status()
    assert before["env.VERSION"] == "two"
    back = rollback(rig)
    assert_contract([back], rig.home, shell=shell)
    assert rig.status()["env.VERSION"] == "one"
    assert starts(rig) == 3
    # What is declared has not changed, so that a plan shows the way forward.
    forward = converge([two], rig.home, shell=shell, check=True)
    assert [found.field for found in forward.done[two.id].changes] == ["env.VERSION"]
    settled([one], rig.home, shell)
    # Back again is where it came from.
    converge([rollback(rig)], rig.home, shell=shell)
    assert rig.status()["env.VERSION"] == "two"
    settled([two], rig.home, shell)
    assert rig.programs() == [rig.pid]


def test_with_nothing_before_it_is_refused(rig: Rig) -> None:
    service = version(rig, "one")
    converge([service], rig.home)
    pid = rig.pid
    back = rollback(rig)
    for check in (True, False):
        done = converge([back], rig.home, check=check)
        assert done.outcomes == {back.id: "failed"}
        assert "served nothing else before" in done.reason(back)
    assert rig.pid == pid


def test_with_its_artifact_gone_it_is_refused_and_what_runs_runs_on(rig: Rig) -> None:
    converge([version(rig, "one")], rig.home)
    converge([version(rig, "two")], rig.home)
    shutil.rmtree(rig.work / "one")
    assert rig.status()["previous.missing"] == str(rig.work / "one")
    pid = rig.pid
    back = rollback(rig)
    for check in (True, False):
        done = converge([back], rig.home, check=check)
        assert done.outcomes == {back.id: "failed"}
        assert f"{rig.work / 'one'} is no longer there" in done.reason(back)
    assert rig.pid == pid


def test_what_never_became_ready_is_not_gone_back_to(rig: Rig) -> None:
    one = version(rig, "one")
    converge([one], rig.home)
    broken = version(rig, "two", ready="false", ready_timeout=1)
    assert converge([broken], rig.home).outcomes == {broken.id: "failed"}
    # It is what served last that is gone back to, though it is no longer running.
    converge([rollback(rig)], rig.home)
    assert rig.status()["env.VERSION"] == "one"
    assert "previous" not in rig.status()
    settled([one], rig.home)


def test_settings_go_back_as_well(rig: Rig) -> None:
    one = version(rig, "one", stop_timeout=3)
    converge([one], rig.home)
    converge([version(rig, "two", stop_timeout=4)], rig.home)
    converge([rollback(rig)], rig.home)
    settled([version(rig, "one", stop_timeout=3)], rig.home)


def test_a_stopped_service_goes_back_too(rig: Rig) -> None:
    converge([version(rig, "one")], rig.home)
    converge([version(rig, "two")], rig.home)
    converge([version(rig, "two", running=False)], rig.home)
    converge([rollback(rig)], rig.home)
    assert rig.status()["env.VERSION"] == "one"


def test_a_port_that_was_taken_meanwhile_is_told(rig: Rig) -> None:
    port = free_port()
    converge([version(rig, "one", listens=(f"127.0.0.1:{port}",))], rig.home)
    converge([version(rig, "two")], rig.home)
    with socket.create_server(("127.0.0.1", port)):
        back = rollback(rig)
        done = converge([back], rig.home)
        assert f"127.0.0.1:{port}" in done.reason(back)
    assert rig.status()["env.VERSION"] == "two"


def test_a_rollback_killed_in_the_middle_is_completed_by_the_next(rig: Rig) -> None:
    converge([version(rig, "one")], rig.home)
    converge([version(rig, "two")], rig.home)
    back = rollback(rig)
    running = rig.pid
    assert converge_killed([back], rig.home, lambda: gone(running))
    converge([back], rig.home, lock_wait=10)
    assert rig.status()["env.VERSION"] == "one"
    assert rig.programs() == [rig.pid]


def test_the_last_ten_are_remembered_where_only_the_owner_can_read(rig: Rig) -> None:
    for number in range(12):
        converge([rig.service(env={"VERSION": str(number)}, ready="true")], rig.home)
    served = rig.directory / "served"
    order = (served / "order").read_text().splitlines()
    assert len(order) == 10
    names = {line.split()[0] for line in order}
    assert {path.name for path in served.iterdir()} == {
        "order",
        *(f"{name}.{part}" for name in names for part in ("start", "settings")),
    }
    assert all(path.stat().st_mode & 0o077 == 0 for path in served.iterdir())
    assert rig.status()["previous"] == order[1].split()[0]
