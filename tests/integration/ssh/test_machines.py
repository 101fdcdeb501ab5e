"""Whole machines: the network goes, the power goes, and a host that has next to nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rolecall.jobs import detached
from rolecall.resource import Resource
from rolecall.resources.directory import Directory
from rolecall.resources.file import File
from rolecall.targets.ssh import Patience
from tests.integration.loop.acts import Act, exists
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


def job() -> Act:
    text = (
        f"echo start >>{FOLDER}/starts\necho working\n"
        f"until [ -e {FOLDER}/go ]; do sleep 0.05; done\necho ready\n: >{FOLDER}/made"
    )
    return Act("job", exists(f"{FOLDER}/made"), detached("build", text))


def starts(machine: Machine) -> int:
    return int(machine.sh(f"cat {FOLDER}/starts 2>/dev/null | wc -l"))


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


class Run:
    """A run in a thread."""

    def __init__(self, machine: Machine, memory: Path, **how: object) -> None:
        self.result = Result()
        self._thread = threading.Thread(target=self._run, args=(machine, memory, how), daemon=True)
        self._thread.start()

    def _run(self, machine: Machine, memory: Path, how: dict[str, object]) -> None:
        run([job()], machine, memory, result=self.result, **how)

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
    assert run([job()], clean, tmp_path).done["host"].outcome == "unreachable"
    clean.heal()
    second = Run(clean, tmp_path, lock_wait=30)
    until(lambda: "attached to job build, which is already running" in second.result.output)
    clean.sh(f"touch {FOLDER}/go")
    done = second.wait()
    assert done.outcomes == {"act:job": "changed"}, done.text
    assert done.output[-1] == "ready"
    assert starts(clean) == 1


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
    again = run([job()], clean, tmp_path)
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
