"""``./inv jobs``: a long job is listed, followed and stopped, whoever started it."""

from __future__ import annotations

import re
import time

import pytest

from tests.integration.fleet.conftest import Make
from tests.integration.fleet.small import Small, until
from tests.rig.sshd import Sshd

JOB = """
i=0
until [ -e go ]; do
  i=$((i + 1))
  printf '::progress {"done": %s, "total": 0, "unit": "steps", "label": "training"}\\n' "$i"
  echo "line $i"
  sleep 0.2
done
"""


@pytest.fixture(params=["here", "over ssh"])
def project(request: pytest.FixtureRequest, small: Make, sshd: Sshd) -> Small:
    made = small(["h1", "h2"], sshd if request.param == "over ssh" else None)
    made.set("h1", job=JOB)
    return made


def job_name(project: Small) -> str:
    """The name that the list shows."""
    listed = project.inv("jobs", "--hosts", "all")
    assert listed.returncode == 0, listed.stderr
    found = re.search(r"^h1\n  (work-[0-9a-f]{16}) +(.*)$", listed.stdout, re.M)
    assert found, listed.stdout
    assert "h2: no jobs" in listed.stdout
    return found[1]


def lines(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"^line (\d+)$", text, re.M)]


def test_a_job_whose_controller_was_killed_is_listed_followed_and_run_to_its_end(
    project: Small,
) -> None:
    run = project.start("deploy", "--hosts", "all")
    until(lambda: project.starts("h1"))
    run.kill()
    run.communicate()
    name = job_name(project)
    listed = project.inv("jobs", "--hosts", "h1").stdout
    assert re.search(r"running for \d+\.\d s: (line \d+|training: \d+ steps)$", listed, re.M)

    follower = project.terminal("jobs", name, "--follow", "--hosts", "all")
    until(lambda: len(lines(follower.text)) > 8)
    follower.press()
    assert follower.wait() == 0
    assert "the job goes on" in follower.text and "Traceback" not in follower.text
    seen = lines(follower.text)
    assert seen == list(range(seen[0], seen[0] + len(seen)))  # live, and nothing twice

    again = project.start("deploy", "--hosts", "h1", "--verbose", "--lock-wait", "30s")
    assert again.stdout is not None
    said = ""
    while not re.search(r"line \d+", said):
        said += again.stdout.readline()
    assert f"attached to job {name}, which is already running" in said
    first = int(re.search(r"line (\d+)", said)[1])  # type: ignore[index]
    assert first >= seen[-1] - 5  # from where it is, not from its begin
    (project.marks("h1") / "go").touch()
    out, err = again.communicate(timeout=30)
    assert again.returncode == 0, said + out + err
    assert project.starts("h1") == 1
    over = project.inv("jobs", "--hosts", "h1").stdout
    assert re.search(rf"{name} +done in [\d.]+ s, [\d.]+ s ago", over), over


def test_a_job_is_followed_to_its_end_and_its_failure_is_the_commands(project: Small) -> None:
    project.set("h1", job="until [ -e go ]; do sleep 0.1; done; echo no room; exit 7")
    run = project.start("deploy", "--hosts", "h1")
    until(lambda: project.starts("h1"))
    name = job_name(project)
    follower = project.start("jobs", name, "--follow", "--hosts", "h1")
    time.sleep(1)
    (project.marks("h1") / "go").touch()
    out, err = follower.communicate(timeout=30)
    assert follower.returncode == 1
    assert "no room" in out and re.search(rf"job {name} on h1 failed \(7\) after", err)
    out, _ = run.communicate(timeout=30)
    assert run.returncode == 1 and "no room" in out


def test_a_job_is_cancelled_and_the_run_that_follows_it_says_so(project: Small) -> None:
    run = project.start("deploy", "--hosts", "h1")
    until(lambda: project.starts("h1"))
    name = job_name(project)
    cancelled = project.inv("jobs", name, "--cancel", "--hosts", "all")
    assert cancelled.returncode == 0, cancelled.stderr
    assert f"h1: {name} was killed" in cancelled.stdout
    out, _ = run.communicate(timeout=30)
    assert run.returncode == 1
    assert "the job was killed before it could end" in out
    at = len(lines((next(project.home("h1").glob("jobs/*/log"))).read_text()))
    time.sleep(0.5)
    assert len(lines((next(project.home("h1").glob("jobs/*/log"))).read_text())) == at
    twice = project.inv("jobs", name, "--cancel", "--hosts", "h1")
    assert twice.returncode == 0 and "does not run: was killed" in twice.stdout


def test_what_cannot_be_done_is_refused(small: Make) -> None:
    project = small(["h1", "h2"])
    for host in ("h1", "h2"):
        project.set(host, job="echo over")
    assert project.inv("deploy", "--hosts", "all").returncode == 0
    name = re.findall(r"work-[0-9a-f]{16}", project.inv("jobs", "--hosts", "h2").stdout)[0]
    for args, said in (
        (["--follow"], "which job?"),
        (["work-1"], "there is no job work-1 on h1, h2"),
        ([f"{name[:-1]}x"], f"did you mean {name}?"),
    ):
        done = project.inv("jobs", *args, "--hosts", "all")
        assert done.returncode == 2 and said in done.stderr, done.stderr
    log = project.inv("jobs", name, "--hosts", "h2")
    assert log.stdout == "over\n" and log.returncode == 0


def test_a_host_that_cannot_be_asked_does_not_hide_the_others(small: Make) -> None:
    project = small(["h1", "h2"])
    project.set("h1", job="echo over")
    assert project.inv("deploy", "--hosts", "h1").returncode == 0
    project.unreachable("h2")
    done = project.inv("jobs", "--hosts", "all")
    assert done.returncode == 1
    assert re.search(r"^h1\n  work-\w+ +done in", done.stdout)
    assert "not asked: h2" in done.stderr
