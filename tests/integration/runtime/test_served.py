"""The CPU deployment's own Triton inside a real container, driven as a user would."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.deployed import Completed, Deployment, events, failure, outcomes, recap
from tests.integration.verify.verified import verify
from tests.rig.containers import BASE, Engine


class Contained:
    """The deployment, with the settings that put its server into a container."""

    def __init__(self, deployed: Deployment, podman: Engine) -> None:
        self.deployed = deployed
        # The environment's interpreter is the host's; the image has to show it at its place.
        prefix = Path(os.path.realpath(deployed.python)).parents[1]
        mounts = [] if prefix == Path("/usr") else [str(prefix)]
        values = {
            "runtime.kind": "container",
            "runtime.engine": "podman",
            "runtime.client": podman.client,
            "runtime.image": BASE,
            "runtime.gpus": '""',
            "runtime.ulimits": "[]",
            "runtime.mounts": f"[{', '.join(mounts)}]",
        }
        self.sets = [
            part for name, value in values.items() for part in ("--set", f"{name}={value}")
        ]

    def inv(self, *arguments: str) -> Completed:
        return self.deployed.inv(*arguments, *self.sets)


@pytest.fixture(scope="module")
def contained(deployed: Deployment, podman: Engine) -> Iterator[Contained]:
    made = Contained(deployed, podman)
    done = made.inv("deploy", "--json")
    assert done.returncode == 0, failure(done)
    yield made
    done = deployed.inv("deploy", "--json")
    assert done.returncode == 0, failure(done)
    assert deployed.is_ready()
    assert podman.names("-a") == []


def eventually(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.2)


def test_it_answers_and_a_second_deploy_changes_nothing(
    contained: Contained, podman: Engine
) -> None:
    (name,) = podman.names()
    assert name.startswith("rolecall-") and name.endswith("-triton")
    done = contained.inv("deploy", "--json")
    assert recap(done)["changed"] == recap(done)["failed"] == 0
    (over,) = [event for event in events(done) if event["event"] == "host_done"]
    assert over["exchanges"] == 1
    said = contained.inv("chat", "Say yes.", "--max-tokens", "8", "--temperature", "0")
    assert said.returncode == 0 and said.stdout.strip()
    status = contained.inv("status")
    assert status.returncode == 0 and str(contained.deployed.engine_dir) in status.stdout
    logs = contained.inv("logs", "--lines", "200")
    assert "Started HTTPService" in logs.stdout


def test_an_image_that_is_gone_is_found_by_the_checks_about_it(
    contained: Contained, podman: Engine, tmp_path: Path
) -> None:
    held = verify(contained.inv, tmp_path, status=0)
    assert {"runtime::triton_is_there", "runtime::the_runtime_is_as_declared"} <= held.passed
    podman("tag", BASE, "localhost/kept:1")
    podman("untag", BASE, BASE)  # the container goes on
    try:
        found = verify(contained.inv, tmp_path)
    finally:
        podman("tag", "localhost/kept:1", BASE)
        podman("untag", "localhost/kept:1", "localhost/kept:1")
    said = found.only("runtime::triton_is_there", "runtime::the_runtime_is_as_declared")
    assert f"image {BASE} is not here" in said["runtime::triton_is_there"]


def test_artifacts_can_only_be_read_inside(contained: Contained, podman: Engine) -> None:
    (name,) = podman.names()
    home = contained.deployed.home
    done = podman("exec", name, "touch", f"{home}/artifacts/x", check=False)
    assert "Read-only file system" in done.stderr
    assert podman("exec", name, "ls", str(home)).stdout.split() == ["artifacts", "cache", "python"]


def test_a_killed_client_is_replaced_with_its_container(
    contained: Contained, podman: Engine
) -> None:
    deployed = contained.deployed
    client = deployed.server_pid
    before = podman("ps", "-q").stdout
    os.kill(client, signal.SIGKILL)
    eventually(lambda: podman("ps", "-q").stdout not in ("", before))
    eventually(deployed.is_ready)
    assert deployed.server_pid != client
    assert len(podman.names("-a")) == 1
    again = contained.inv("deploy", "--json")
    assert recap(again)["changed"] == 0


def test_a_killed_server_is_started_again(contained: Contained, podman: Engine) -> None:
    deployed = contained.deployed
    before = podman("ps", "-q").stdout
    podman("kill", *podman.names())
    eventually(lambda: podman("ps", "-q").stdout not in ("", before))
    eventually(deployed.is_ready)
    assert "ended by signal 9" in (deployed.home / "services/triton/exits").read_text()


def test_stopping_lets_triton_leave_by_itself(contained: Contained, podman: Engine) -> None:
    done = contained.inv("stop", "--json")
    assert done.returncode == 0, failure(done)
    assert podman.names("-a") == []
    # Not killed: it told what it unloaded, to the last.
    assert "Found 0 live models" in contained.deployed.log_path.read_text()[-400:]
    done = contained.inv("start", "--json")
    assert done.returncode == 0, failure(done)
    assert len(podman.names()) == 1


def test_what_a_crash_of_supervisor_and_client_leaves_is_found(
    contained: Contained, podman: Engine
) -> None:
    deployed = contained.deployed
    os.kill(deployed.supervisor_pid, signal.SIGKILL)
    os.kill(deployed.server_pid, signal.SIGKILL)
    eventually(lambda: "leftover" in contained.inv("status").stdout)
    assert len(podman.names()) == 1
    done = contained.inv("deploy", "--json")
    assert done.returncode == 0, failure(done)
    assert outcomes(done)["service:triton"] == "changed"
    assert len(podman.names("-a")) == 1 and deployed.is_ready()


def test_a_network_of_its_own_publishes_its_ports(contained: Contained, podman: Engine) -> None:
    sets = ("--set", "runtime.network=bridge")
    done = contained.inv("deploy", "--json", *sets)
    if "netavark" in failure(done) or "CNI" in failure(done) or "iptables" in failure(done):
        pytest.skip("this machine gives containers no network")
    assert done.returncode == 0, failure(done)
    assert contained.deployed.is_ready()
    again = contained.inv("deploy", "--json", *sets)
    assert recap(again)["changed"] == 0
    back = contained.inv("deploy", "--json")
    assert back.returncode == 0, failure(back)


def test_going_back_to_no_container_and_forth(contained: Contained, podman: Engine) -> None:
    deployed = contained.deployed
    plain = deployed.inv("deploy", "--json")
    assert plain.returncode == 0, failure(plain)
    assert podman.names("-a") == [] and deployed.is_ready()
    back = contained.inv("rollback", "--json")
    assert back.returncode == 0, failure(back)
    assert len(podman.names()) == 1 and deployed.is_ready()
