"""Whole machines: the network goes, the power goes, and a host that has next to nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rolecall.resource import Resource
from rolecall.resources.directory import Directory
from rolecall.resources.file import File
from rolecall.targets.ssh import Patience
from tests.integration.ssh.controller import WHAT, job, start
from tests.rig.machines import Machine, Rig
from tests.support import Result, converge

#: Notices a dead network within seconds.
HASTY = Patience(connect=3, keepalive=1, lost=2)

FOLDER = "/var/lib/work"


@pytest.fixture(scope="module")
def worker(machine_rig: Rig) -> Machine:
    return machine_rig.machine()


@pytest.fixture
def clean(worker: Machine) -> Machine:
    worker.heal()
    worker.sh(f"rm -rf {FOLDER} /root/.home; mkdir -p {FOLDER}")
    return worker


#: Rolecall's own directory, in the machine; what the controller remembers is kept apart.
HOME = Path("/root/.home")


def starts(machine: Machine) -> int:
    return int(machine.sh(f"cat {FOLDER}/starts 2>/dev/null | wc -l"))


def holder(machine: Machine) -> str:
    """The content of the lock of a living shell; empty when nobody holds the host."""
    return machine.sh(
        f"held=$(readlink {HOME}/lock) || exit 0\npid=${{held#*:}}\n"
        '[ ! -d "/proc/${pid%%:*}" ] || echo "$held"'
    )


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


class Run:
    """A run in a thread."""

    def __init__(self, machine: Machine, memory: Path, what: str = "job", **how: object) -> None:
        self.result = Result()
        self._thread = threading.Thread(
            target=self._run, args=(machine, memory, what, how), daemon=True
        )
        self._thread.start()

    def _run(self, machine: Machine, memory: Path, what: str, how: dict[str, object]) -> None:
        run([WHAT[what](FOLDER)], machine, memory, result=self.result, **how)

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    def wait(self) -> Result:
        self._thread.join(30)
        assert self.over
        return self.result


def run(resources: list[Resource], machine: Machine, memory: Path, **how: object) -> Result:
    return converge(resources, HOME, target=machine.target(patience=HASTY), memory=memory, **how)


def test_a_job_goes_on_without_network_and_the_next_run_attaches(
    clean: Machine, tmp_path: Path
) -> None:
    first = Run(clean, tmp_path)
    until(lambda: starts(clean) == 1)
    began = time.monotonic()
    clean.partition()
    lost = first.wait()
    assert time.monotonic() - began < 15
    assert lost.done["host"].outcome == "unreachable"
    assert run([job(FOLDER)], clean, tmp_path).done["host"].outcome == "unreachable"
    clean.heal()
    second = Run(clean, tmp_path, lock_wait=30)
    until(lambda: "attached to job build, which is already running" in second.result.output)
    clean.sh(f"touch {FOLDER}/go")
    done = second.wait()
    assert done.outcomes == {"act:job": "changed"}, done.text
    assert done.output[-1] == "ready"
    assert starts(clean) == 1


@pytest.mark.parametrize("what", ["job", "idle"])
def test_a_host_that_hears_nothing_of_its_controller_gives_the_lock_up(
    clean: Machine, tmp_path: Path, what: str
) -> None:
    first = Run(clean, tmp_path, what)
    until(lambda: starts(clean) == 1)
    assert holder(clean)
    clean.partition()
    # sshd itself would hold on to the shell until TCP gives up: minutes, or hours when idle.
    until(lambda: not holder(clean), 12)
    assert first.wait().done["host"].outcome == "unreachable"
    clean.heal()
    clean.sh(f"touch {FOLDER}/go")
    if what == "job":
        clean.sh(f"until [ -e {FOLDER}/made ]; do sleep 0.05; done")
        assert run([job(FOLDER)], clean, tmp_path).outcomes == {"act:job": "ok"}
    else:
        clean.sh(f"touch {FOLDER}/made")
        assert run([WHAT[what](FOLDER)], clean, tmp_path).outcomes == {"act:idle": "ok"}
    assert starts(clean) == 1


def test_a_step_that_runs_without_its_controller_keeps_the_lock_until_it_is_over(
    clean: Machine, tmp_path: Path
) -> None:
    first = Run(clean, tmp_path, "step")
    until(lambda: starts(clean) == 1)
    clean.partition()
    assert first.wait().done["host"].outcome == "unreachable"
    time.sleep(5)
    assert holder(clean)
    clean.heal()
    refused = run([WHAT["step"](FOLDER)], clean, tmp_path)
    assert "is locked by" in refused.done["host"].reason
    clean.sh(f"touch {FOLDER}/go")
    until(lambda: not holder(clean), 12)
    assert run([WHAT["step"](FOLDER)], clean, tmp_path).outcomes == {"act:step": "ok"}
    assert starts(clean) == 1


def frozen(machine: Machine, home: Path, what: str) -> None:
    """Let a controller die while nobody tells the host: its sshd hears nothing any more."""
    controller = start(machine.login(), HOME, home, FOLDER, what)
    until(lambda: starts(machine) == 1)
    machine.sh("pkill -STOP -f 'sshd: root@[n]otty'")
    controller.kill()
    controller.wait()


@pytest.fixture
def thawed(clean: Machine) -> Iterator[Machine]:
    yield clean
    clean.sh("pkill -KILL -f 'sshd: root@[n]otty' || :")


@pytest.mark.parametrize("what", ["job", "idle"])
def test_the_next_run_takes_over_at_once_from_a_controller_that_was_killed(
    thawed: Machine, tmp_path: Path, what: str
) -> None:
    frozen(thawed, tmp_path, what)
    held = holder(thawed)
    assert held
    thawed.sh(f"touch {FOLDER}/{'go' if what == 'idle' else 'x'}")
    began = time.monotonic()
    second = Run(thawed, tmp_path, "job" if what == "job" else "step")
    if what == "job":
        until(lambda: "attached to job build, which is already running" in second.result.output)
        assert holder(thawed) not in {"", held}
        thawed.sh(f"touch {FOLDER}/go")
    done = second.wait()
    assert time.monotonic() - began < 10
    assert set(done.outcomes.values()) == {"changed"}, done.text
    assert starts(thawed) == (1 if what == "job" else 2)


def test_a_step_of_a_killed_controller_is_waited_for_and_never_killed(
    thawed: Machine, tmp_path: Path
) -> None:
    frozen(thawed, tmp_path, "step")
    held = holder(thawed)
    refused = run([WHAT["step"](FOLDER)], thawed, tmp_path).done["host"]
    assert refused.outcome == "failed"
    assert "that run is dead, but a step that it began is still running" in refused.reason
    assert "--lock-wait" in refused.hint
    assert holder(thawed) == held
    waits = Run(thawed, tmp_path, "step", lock_wait=30)
    thawed.sh(f"sleep 1; touch {FOLDER}/go")
    assert waits.wait().outcomes == {"act:step": "ok"}
    assert starts(thawed) == 1


def test_a_short_cut_of_the_network_is_not_noticed(clean: Machine, tmp_path: Path) -> None:
    first = Run(clean, tmp_path)
    until(lambda: starts(clean) == 1)
    clean.partition()
    time.sleep(0.7)
    clean.heal()
    clean.sh(f"touch {FOLDER}/go")
    assert first.wait().outcomes == {"act:job": "changed"}


def test_after_a_power_cut_the_job_is_recognised_as_gone_and_started_anew(
    machine_rig: Rig, clean: Machine, tmp_path: Path
) -> None:
    first = Run(clean, tmp_path)
    until(lambda: starts(clean) == 1)
    clean.power_cut()
    assert first.wait().done["host"].outcome == "unreachable"
    clean.boot()
    assert clean.sh(f"cat {HOME}/jobs/build/identity")
    clean.sh(f"touch {FOLDER}/go")
    again = run([job(FOLDER)], clean, tmp_path)
    assert again.outcomes == {"act:job": "changed"}, again.text
    assert again.output == ["working", "ready"]
    assert starts(clean) == 2


def test_a_host_without_python_and_busybox_is_enough(clean: Machine, tmp_path: Path) -> None:
    assert clean.sh("command -v python3 busybox || echo neither") == "neither"
    resources: list[Resource] = [
        Directory(f"{FOLDER}/a"),
        *(File(f"{FOLDER}/a/{number}", f"{number}\n") for number in range(20)),
    ]
    assert set(run(resources, clean, tmp_path).outcomes.values()) == {"changed"}
    again = run(resources, clean, tmp_path)
    assert set(again.outcomes.values()) == {"ok"} and again.exchanges == 1


def test_several_machines_at_once_and_one_that_is_cut_off(
    machine_rig: Rig, machine: Machine, clean: Machine, tmp_path: Path
) -> None:
    runs = {name: Run(one, tmp_path / name) for name, one in (("a", clean), ("b", machine))}
    machine.sh(f"mkdir -p {FOLDER}; rm -f {FOLDER}/*; touch {FOLDER}/go")
    until(lambda: starts(clean) == 1)
    clean.partition()
    assert runs["b"].wait().outcomes == {"act:job": "changed"}
    assert runs["a"].wait().done["host"].outcome == "unreachable"
    clean.heal()
