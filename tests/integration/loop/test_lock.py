import os
import re
import subprocess
import sys
import threading
import time

import pytest

from rolecall.lock import LockHolder, signature
from tests.integration.loop.acts import Act, makes
from tests.support import KillableTarget, converge


class Holder:
    """A run in the background that holds the lock until it is let go."""

    def __init__(self, folder, home, shell="/bin/sh"):
        self._go = folder / "go"
        waiting = folder / "waiting"
        self.act = makes(
            folder / "held",
            also=f": >'{waiting}'; until [ -e '{self._go}' ]; do sleep 0.05 || sleep 1; done",
        )
        self.target = KillableTarget(shell)
        self.runs = []
        self._thread = threading.Thread(target=self._converge, args=(home,), daemon=True)
        self._thread.start()
        until(waiting.exists)

    def _converge(self, home):
        self.runs.append(converge([self.act], home, target=self.target))

    def let_go(self):
        self._go.touch()

    def wait(self):
        self._thread.join(20)
        assert not self._thread.is_alive()

    @property
    def run_id(self):
        return self.runs[0].events[0].run


def until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def holder(tmp_path, home, shell):
    held = Holder(tmp_path, home, shell)
    yield held
    held.let_go()
    held.wait()


def test_a_second_run_says_who_holds_the_host_since_when_in_which_run(
    tmp_path, home, shell, holder
):
    run = converge([makes(tmp_path / "b")], home, shell=shell)
    said = run.done["host"]
    assert said.outcome == "failed"
    assert "--lock-wait" in said.hint
    match = re.search(
        r"locked by (\S+@\S+): run (\S+), since \d\d:\d\d:\d\d \(\d+ s ago\)", said.reason
    )
    assert match, said.reason
    assert not (tmp_path / "b").exists()
    holder.let_go()
    holder.wait()
    assert match[2] == holder.run_id
    assert holder.runs[0].outcomes == {holder.act.id: "changed"}


def test_a_run_that_may_wait_goes_on_when_the_other_is_over(tmp_path, home, shell, holder):
    timer = threading.Timer(0.5, holder.let_go)
    timer.start()
    run = converge([holder.act, makes(tmp_path / "b")], home, shell=shell, lock_wait=30)
    assert list(run.outcomes.values()) == ["ok", "changed"], "it looked again after waiting"


def test_check_mode_does_not_mind_a_lock(tmp_path, home, shell, holder):
    run = converge([makes(tmp_path / "b")], home, check=True, shell=shell)
    assert list(run.outcomes.values()) == ["would change"]


def test_the_lock_of_a_killed_run_is_taken_over(tmp_path, home, shell):
    holder = Holder(tmp_path, home, shell)
    holder.target.kill(home)
    holder.wait()
    assert holder.runs[0].done["host"].outcome == "unreachable"
    assert (home / "lock").is_symlink()
    run = converge([makes(tmp_path / "b")], home, shell=shell)
    assert list(run.outcomes.values()) == ["changed"]
    assert not (home / "lock").is_symlink()


def test_a_lock_from_before_a_reboot_is_taken_over(tmp_path, home, shell):
    home.mkdir()
    text = f"00000000-0000-0000-0000-000000000000:{os.getpid()}:1 1700000000 run-x someone@there"
    (home / "lock").symlink_to(text)
    assert list(converge([makes(tmp_path / "b")], home, shell=shell).outcomes.values()) == [
        "changed"
    ]
    assert not (home / "lock").is_symlink()


def test_a_lock_whose_breaker_died_too_is_taken_over(tmp_path, home, shell):
    home.mkdir()
    dead = "00000000-0000-0000-0000-000000000000:1:1"
    (home / "lock").symlink_to(f"{dead} 1700000000 run-x someone@there")
    (home / "lock.breaking").symlink_to(dead)
    assert list(converge([makes(tmp_path / "b")], home, shell=shell).outcomes.values()) == [
        "changed"
    ]
    assert [path.name for path in home.iterdir()] == ["journal"]


CONTROLLER = """
import sys
from pathlib import Path
from tests.integration.loop.test_lock import Holder
folder, home, shell = sys.argv[1:]
Holder(Path(folder), Path(home), shell).wait()
"""


def killed_controller(tmp_path, home, shell):
    """A controller that was killed while its shell goes on with a step."""
    arguments = [sys.executable, "-c", CONTROLLER, str(tmp_path), str(home), shell]
    controller = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
    until((tmp_path / "waiting").exists)
    controller.kill()
    controller.wait()


def test_a_step_of_a_killed_run_is_not_ended_and_its_lock_not_taken(tmp_path, home, shell):
    killed_controller(tmp_path, home, shell)
    held = (home / "lock").readlink()
    said = converge([makes(tmp_path / "b")], home, shell=shell).done["host"]
    assert "that run is dead, but a step that it began is still running" in said.reason
    assert "--lock-wait" in said.hint
    assert (home / "lock").readlink() == held
    threading.Timer(1, (tmp_path / "go").touch).start()
    run = converge([makes(tmp_path / "b")], home, shell=shell, lock_wait=30)
    assert set(run.outcomes.values()) == {"changed"}
    assert (tmp_path / "held").exists(), "the step was finished"


def test_a_holder_is_dead_only_if_this_machine_can_know_it():
    mine, person = signature().split(" ", 1)
    boot, space, pid, start = mine.split(":")

    def is_dead(controller, who=person):
        return LockHolder.parse(f"b:1:2 1700000000 run {controller} {who}").is_dead

    child = subprocess.Popen(["true"])
    assert not is_dead(mine)
    assert is_dead(f"{boot}:{space}:{pid}:{int(start) + 1}"), "its number was given anew"
    assert is_dead(f"{boot}:{space}:{child.pid}:{start}")
    child.wait()
    assert is_dead(f"{boot}:{space}:{child.pid}:{start}")
    assert not is_dead(f"{boot}:{space}:{child.pid}:{start}", "somebody@elsewhere")
    assert not is_dead(f"{boot}:1{space}:{child.pid}:{start}"), "another container"
    assert not is_dead(f"another-boot:{space}:{child.pid}:{start}")
    assert not is_dead("-")
    assert not is_dead("a:b:c:d")


def test_a_run_that_changes_nothing_takes_no_lock(tmp_path, home, shell):
    met = Act("met", "echo done=yes", reading=frozenset())
    converge([met], home, shell=shell)
    assert not home.exists()


def take_lock_between_look_and_change(tmp_path, home, shell, **how):
    """Another run takes the lock when this one has already seen that there is none."""
    holders = []

    class Target(KillableTarget):
        def open_shell(self):
            channel = super().open_shell()
            write, writes = channel.write, []

            def writing(data):
                writes.append(data)
                if b"rc_change" in data.rpartition(b"rc_lock ||")[2] and not holders:
                    holders.append(Holder(tmp_path, home, shell))
                    if how:
                        threading.Timer(0.5, holders[0].let_go).start()
                write(data)

            channel.write = writing
            return channel

    acts = [makes(tmp_path / "x"), makes(tmp_path / "y")]
    run = converge(acts, home, target=Target(shell), **how)
    holders[0].let_go()
    holders[0].wait()
    return run, acts


def test_a_lock_taken_at_the_last_moment_is_respected(tmp_path, home, shell):
    run, _ = take_lock_between_look_and_change(tmp_path, home, shell)
    assert "is locked by" in run.done["host"].reason
    assert not (tmp_path / "x").exists()


def test_a_lock_taken_at_the_last_moment_is_waited_for(tmp_path, home, shell):
    run, acts = take_lock_between_look_and_change(tmp_path, home, shell, lock_wait=30)
    assert run.outcomes == {act.id: "changed" for act in acts}


def test_of_many_runs_at_once_each_change_is_made_once(tmp_path, home, shell):
    count = tmp_path / "count"
    acts = [makes(tmp_path / f"n{n}", also=f"echo x >>'{count}'") for n in range(5)]
    runs = []
    threads = [
        threading.Thread(
            target=lambda: runs.append(converge(acts, home, shell=shell, lock_wait=60)), daemon=True
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert count.read_text() == "x\n" * 5
    outcomes = [outcome for run in runs for outcome in run.outcomes.values()]
    assert sorted(outcomes) == ["changed"] * 5 + ["ok"] * 15
