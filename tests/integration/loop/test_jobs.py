import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from rolecall.jobs import detached
from tests.integration.loop.acts import Act, exists
from tests.support import KillableTarget, converge


@pytest.fixture(autouse=True)
def no_job_survives(home):
    yield
    for identity in home.glob("jobs/*/identity"):
        with suppress(ProcessLookupError, IndexError):
            os.killpg(int(identity.read_text().split(":")[1]), signal.SIGKILL)


def job(folder, script, name="build"):
    """Done when ``made`` exists; the job counts its starts and then runs ``script``."""
    text = f"echo start >>'{folder}/starts'\n{script}\nmv '{folder}/beside' '{folder}/made'"
    return Act("job", exists(folder / "made"), detached(name, text))


def waits_for(path):
    return f"until [ -e '{path}' ]; do sleep 0.05 2>/dev/null || sleep 1; done"


def until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def starts(folder):
    path = folder / "starts"
    return path.read_text().count("start\n") if path.exists() else 0


def job_process(home, name="build"):
    return int((home / "jobs" / name / "identity").read_text().split(":")[1])


class Background:
    """A run in a thread, whose shell can be killed."""

    def __init__(self, resource, home, shell):
        self.target = KillableTarget(shell)
        self.result = None
        self._arguments = (resource, home)
        self._thread = threading.Thread(target=self._converge, daemon=True)
        self._thread.start()

    def _converge(self):
        resource, home = self._arguments
        self.result = converge([resource], home, target=self.target)

    def kill_shell(self):
        for channel in self.target.channels:
            os.killpg(channel.pid, signal.SIGKILL)
        self.wait()

    def wait(self):
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.result


def test_a_job_shows_its_output_and_progress_and_ends_with_its_status(tmp_path, home, shell):
    act = job(
        tmp_path,
        f'echo one\necho two >&2\necho \'::progress {{"done": 1, "total": 2}}\'\n'
        f"printf 'no newline'\n: >'{tmp_path}/beside'",
    )
    run = converge([act], home, shell=shell)
    assert run.outcomes == {act.id: "changed"}
    assert run.output == ["one", "two", "no newline"]
    assert [(progress.done, progress.total) for progress in run.progress] == [(1, 2)]


def test_output_is_shown_while_the_job_runs(tmp_path, home, shell):
    class Seeing(KillableTarget):
        def open_shell(self):
            channel = super().open_shell()
            read = channel.read

            def reading():
                data = read()
                if b"first words" in data:
                    (tmp_path / "go").touch()
                return data

            channel.read = reading
            return channel

    act = job(tmp_path, f"echo first words\n{waits_for(tmp_path / 'go')}\n: >'{tmp_path}/beside'")
    assert converge([act], home, target=Seeing(shell)).outcomes == {act.id: "changed"}


def test_a_failing_job_is_a_failed_change_with_its_last_words(tmp_path, home, shell):
    act = job(tmp_path, "echo the reason\nexit 9")
    run = converge([act], home, shell=shell)
    assert run.done[act.id].outcome == "failed"
    assert "ended with status 9" in run.reason(act)
    assert "the reason" in run.reason(act)


def test_the_first_failing_command_ends_a_job(tmp_path, home, shell):
    act = job(tmp_path, f"false\n: >'{tmp_path}/beside'")
    assert converge([act], home, shell=shell).outcomes == {act.id: "failed"}
    assert not (tmp_path / "made").exists()


def test_a_job_that_failed_is_started_again_by_the_next_run(tmp_path, home, shell):
    act = job(tmp_path, f"[ -e '{tmp_path}/ready' ]\n: >'{tmp_path}/beside'")
    converge([act], home, shell=shell)
    (tmp_path / "ready").touch()
    assert converge([act], home, shell=shell).outcomes == {act.id: "changed"}
    assert starts(tmp_path) == 2


def test_a_job_outlives_its_run_and_the_next_run_attaches_to_it(tmp_path, home, shell):
    act = job(
        tmp_path, f"echo working\n{waits_for(tmp_path / 'go')}\necho ready\n: >'{tmp_path}/beside'"
    )
    first = Background(act, home, shell)
    until(lambda: starts(tmp_path) == 1)
    first.kill_shell()
    assert first.result.done["host"].outcome == "unreachable"
    left = (home / "lock").readlink()  # the killed shell's; the second run replaces it
    second = Background(act, home, shell)
    until(lambda: (home / "lock").is_symlink() and (home / "lock").readlink() != left)
    time.sleep(0.5)
    (tmp_path / "go").touch()
    run = second.wait()
    assert run.outcomes == {act.id: "changed"}
    assert "attached to job build, which is already running" in run.output
    assert run.output[-1] == "ready"
    assert starts(tmp_path) == 1


def test_a_job_that_ended_while_nobody_looked_is_found_done(tmp_path, home, shell):
    act = job(tmp_path, f"{waits_for(tmp_path / 'go')}\n: >'{tmp_path}/beside'")
    first = Background(act, home, shell)
    until(lambda: starts(tmp_path) == 1)
    first.kill_shell()
    (tmp_path / "go").touch()
    until((tmp_path / "made").exists)
    assert converge([act], home, shell=shell).outcomes == {act.id: "ok"}
    assert starts(tmp_path) == 1


def test_a_killed_job_is_explained_and_the_next_run_starts_it_anew(tmp_path, home, shell):
    act = job(tmp_path, f"{waits_for(tmp_path / 'go')}\n: >'{tmp_path}/beside'")
    first = Background(act, home, shell)
    until(lambda: starts(tmp_path) == 1)
    os.killpg(job_process(home), signal.SIGKILL)
    run = first.wait()
    assert run.done[act.id].outcome == "failed"
    assert "status 137" in run.reason(act)
    assert "the job was killed before it could end" in run.reason(act)
    (tmp_path / "go").touch()
    assert converge([act], home, shell=shell).outcomes == {act.id: "changed"}
    assert starts(tmp_path) == 2


def test_what_a_job_killed_alone_left_running_is_ended_before_it_starts_anew(tmp_path, home, shell):
    act = job(tmp_path, f"sleep 1000 & echo $! >'{tmp_path}/child'; wait; : >'{tmp_path}/beside'")
    first = Background(act, home, shell)
    until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text())
    child = int((tmp_path / "child").read_text())
    os.kill(job_process(home), signal.SIGKILL)
    assert first.wait().done[act.id].outcome == "failed"
    until(lambda: not running(child))


def running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def test_a_job_from_before_a_reboot_is_started_anew(tmp_path, home, shell):
    folder = home / "jobs" / "build"
    folder.mkdir(parents=True)
    start = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(") ")[2].split()[19]
    (folder / "identity").write_text(f"00000000-0000-0000-0000-000000000000:{os.getpid()}:{start}")
    (folder / "log").write_text("half a log\n")
    act = job(tmp_path, f"echo anew\n: >'{tmp_path}/beside'")
    run = converge([act], home, shell=shell)
    assert run.outcomes == {act.id: "changed"}
    assert run.output == ["anew"]
    assert starts(tmp_path) == 1


def test_two_starts_at_once_run_one_job(tmp_path, home, shell):
    """The second start finds no identity: the first one's job is only just waking up."""
    act = job(tmp_path, f"{waits_for(tmp_path / 'go')}\n: >'{tmp_path}/beside'")
    first = Background(act, home, shell)
    until(lambda: starts(tmp_path) == 1)
    folder = home / "jobs" / "build"
    again = subprocess.run(["/bin/sh", folder / "run", folder], timeout=20)
    assert (again.returncode, starts(tmp_path)) == (0, 1)
    assert not (folder / "exit").exists(), "it does not speak for the job that runs"
    (tmp_path / "go").touch()
    assert first.wait().outcomes == {act.id: "changed"}


def test_the_log_and_the_text_of_a_job_are_their_owners_alone(tmp_path, home, shell):
    converge([job(tmp_path, f": >'{tmp_path}/beside'")], home, shell=shell)
    folder = home / "jobs" / "build"
    for path in (folder, folder / "log", folder / "run"):
        assert path.stat().st_mode & 0o077 == 0
