"""``./inv deploy --hosts …``: who gets a turn, what is left to be done, and how to go on."""

from __future__ import annotations

import json

import pytest

from tests.integration.deployed import Completed, events
from tests.integration.fleet.conftest import Make
from tests.integration.fleet.small import Small
from tests.rig.sshd import Sshd

HOSTS = [f"h{number}" for number in range(1, 9)]


def outcome(done: Completed) -> dict[str, str]:
    """How each host's part ended: the worst that happened there."""
    counts = events(done)[-1]["hosts"]
    order = ("unreachable", "failed", "changed", "ok", "skipped")
    return {
        host: next(name for name in order if count[name]) if any(count.values()) else "nothing"
        for host, count in counts.items()
    }


def deploy(project: Small, *args: str, hosts: str = "all") -> Completed:
    done = project.inv("deploy", "--hosts", hosts, "--json", *args)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def test_hosts_that_fail_in_any_way_do_not_stop_the_others_and_are_run_again_alone(
    small: Make, sshd: Sshd
) -> None:
    project = small(HOSTS, sshd)
    project.set("h2", step="exit 3")
    project.unreachable("h4")
    project.set("h5", refuses=True)
    project.set("h7", answers=False)
    done = deploy(project)
    assert done.returncode == 1
    expected = {"h2": "failed", "h4": "unreachable", "h5": "failed", "h7": "failed"}
    assert outcome(done) == {host: expected.get(host, "changed") for host in HOSTS}
    assert project.failed == ["h2", "h4", "h5", "h7"]
    (remain,) = [event for event in events(done) if event["event"] == "remain"]
    assert remain["hosts"] == project.failed
    assert remain["next"] == "./inv deploy --hosts @failed"
    answered = {event["host"] for event in events(done) if event["event"] == "message"}
    assert answered == {"h1", "h3", "h6", "h8"}

    project.variables = {"h4": {"ansible_port": 1}}
    project.save()
    again = deploy(project, hosts="@failed")
    assert set(outcome(again)) == {"h2", "h4", "h5", "h7"}
    assert project.failed == ["h4"]
    project.variables.clear()
    project.save()
    assert deploy(project, hosts="@failed").returncode == 0
    none_left = project.inv("deploy", "--hosts", "@failed")
    assert none_left.returncode == 2
    assert "the last run left no host to be done" in none_left.stderr


def test_a_defect_that_shows_on_one_host_leaves_the_others_of_its_wave_alone(small: Make) -> None:
    project = small(HOSTS[:4])
    project.set("h2", broken=True)
    done = project.inv("deploy", "--hosts", "all", "--serial", "3")
    assert done.returncode == 1
    assert "h2  failed    unexpected KeyError: 'speed'" in done.stdout
    assert "its traceback is in" in done.stderr
    assert [(project.marks(host) / "last").exists() for host in HOSTS[:4]] == [1, 0, 1, 0]
    assert project.failed == ["h2", "h4"]


def test_a_pattern_may_combine_failed_with_anything(small: Make, tmp_path: object) -> None:
    project = small(HOSTS)
    (project.folder / ".rolecall").mkdir()
    (project.folder / ".rolecall" / "failed").write_text("h1\nh2\nh3\nh4\n")
    (project.folder / "mine.txt").write_text("# of this week\nh6\n\nh7  # and this\n")
    for pattern, hosts in {
        "@failed:&even": ["h2", "h4"],
        "@failed:!h3": ["h1", "h2", "h4"],
        "@failed,h8": ["h1", "h2", "h3", "h4", "h8"],
        "all:!@failed": ["h5", "h6", "h7", "h8"],
        "@failed[0:1]": ["h1", "h2"],
        "@mine.txt": ["h6", "h7"],
        "even:&@failed:!@mine.txt": ["h2", "h4"],
    }.items():
        done = project.inv("plan", "--hosts", pattern, "--json")
        assert list(events(done)[-1]["hosts"]) == hosts, pattern
    assert project.failed == ["h1", "h2", "h3", "h4"]  # check mode leaves it as it is


@pytest.mark.parametrize(
    ("text", "pattern", "said"),
    [
        (None, "@failed", "the last run left no host to be done"),
        (None, "@nothing.txt", "there is no file nothing.txt"),
        ("", "@failed", "names no host"),
        ("h1\ngone\n", "@failed", "names 'gone', which the inventory does not have"),
    ],
)
def test_a_file_that_does_not_help_is_refused(
    small: Make, text: str | None, pattern: str, said: str
) -> None:
    project = small(HOSTS[:2])
    if text is not None:
        (project.folder / ".rolecall").mkdir()
        (project.folder / ".rolecall" / "failed").write_text(text)
    done = project.inv("deploy", "--hosts", pattern)
    assert done.returncode == 2
    assert said in done.stderr and "Traceback" not in done.stderr


def test_hosts_that_only_fab_names_are_run_again_by_fab(small: Make, sshd: Sshd) -> None:
    project = small(HOSTS[:2], sshd)
    first = project.fab("-H", "h1,nobody@127.0.0.1:1", "deploy")
    assert first.returncode == 1
    assert "next: ./fab -H @failed deploy" in first.stdout
    assert project.failed == ["nobody@127.0.0.1:1"]
    by_inv = project.inv("deploy", "--hosts", "@failed")
    assert by_inv.returncode == 2 and "./fab -H @failed" in by_inv.stderr
    again = project.fab("-H", "@failed", "deploy")
    assert again.returncode == 1
    assert "unreachable=1" in again.stdout and "h1" not in again.stdout


def test_a_controller_that_dies_leaves_all_its_hosts_to_be_done(small: Make, sshd: Sshd) -> None:
    from tests.integration.fleet.small import until

    project = small(HOSTS[:3], sshd)
    project.set("h1", job="until [ -e go ]; do sleep 0.1; done")
    run = project.start("deploy", "--hosts", "all")
    until(lambda: project.starts("h1"))
    run.kill()
    run.communicate()
    assert project.failed == HOSTS[:3]
    (project.marks("h1") / "go").touch()
    done = deploy(project, "--lock-wait", "20s", hosts="@failed")
    assert done.returncode == 0
    assert project.starts("h1") == 1


def test_no_host_begins_after_too_many_have_failed(small: Make, sshd: Sshd) -> None:
    project = small(HOSTS, sshd)
    for host in ("h1", "h3"):
        project.set(host, step="exit 3")
    done = deploy(project, "--max-fail", "1", "--forks", "1")
    assert list(outcome(done).values()) == ["failed", "changed", "failed", *["skipped"] * 5]
    assert project.failed == ["h1", "h3", "h4", "h5", "h6", "h7", "h8"]
    reasons = {event["reason"] for event in events(done) if event.get("outcome") == "skipped"}
    assert "after h1, h3 failed (--max-fail 1)" in reasons


@pytest.mark.parametrize(("serial", "size"), [("2", 2), ("50%", 4)])
def test_a_wave_begins_when_the_one_before_is_over(small: Make, serial: str, size: int) -> None:
    project = small(HOSTS)
    done = deploy(project, "--serial", serial, "--forks", "8")
    assert done.returncode == 0
    begun: list[str] = []
    over: set[str] = set()
    for event in events(done):
        if event["event"] == "connecting":
            wave = HOSTS.index(event["host"]) // size
            assert over >= set(HOSTS[: wave * size])
            begun.append(event["host"])
        elif event["event"] == "host_done":
            over.add(event["host"])
    assert sorted(begun) == HOSTS


@pytest.mark.parametrize("how", ["step", "answer", "unreachable"])
def test_nothing_begins_after_a_canary_that_failed(small: Make, sshd: Sshd, how: str) -> None:
    project = small(HOSTS[:4], sshd)
    if how == "unreachable":
        project.unreachable("h3")
    else:
        project.set("h3", **({"step": "exit 3"} if how == "step" else {"answers": False}))
    done = deploy(project, "--canary", "h3")
    assert done.returncode == 1
    said = outcome(done)
    assert said.pop("h3") in {"failed", "unreachable"}
    assert set(said.values()) == {"skipped"}
    assert project.failed == HOSTS[:4]
    assert not any(project.marks(host).exists() for host in ("h1", "h2", "h4"))


def test_the_others_begin_when_the_canary_has_answered(small: Make, sshd: Sshd) -> None:
    project = small(HOSTS[:4], sshd)
    done = deploy(project, "--canary", "h3")
    assert done.returncode == 0
    order = [
        (e["event"], e["host"]) for e in events(done) if e["event"] in {"connecting", "message"}
    ]
    assert order[:2] == [("connecting", "h3"), ("message", "h3")]
    assert [host for event, host in order if event == "message"].count("h3") == 1


def test_a_plan_asks_no_canary(small: Make) -> None:
    project = small(HOSTS[:3])
    project.set("h1", answers=False)
    done = project.inv("plan", "--hosts", "all", "--canary", "h1", "--json")
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout.splitlines()[-1])["hosts"]["h3"]["changed"] == 5


def test_a_host_that_does_not_answer_hides_nobody_from_a_question(small: Make) -> None:
    project = small(HOSTS[:3])
    project.unreachable("h1")
    done = project.inv("why", f"directory:{project.marks('h3')}", "--hosts", "h1,h3")
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr and "1 of 2 hosts: no answer" in done.stderr
    assert "h3  directory:" in done.stdout


def test_the_command_that_goes_on_says_how_hosts_are_reached_and_what_was_set(
    small: Make, sshd: Sshd
) -> None:
    project = small(HOSTS[:2], sshd)
    given = ["-i", str(sshd.key), "-H", "h1,nobody@127.0.0.1:1"]
    first = project.fab(*given, "deploy", "--set", "mark.refuses=false")
    command = f"./fab -i {sshd.key} -H @failed deploy --set mark.refuses=false"
    assert f"next: {command}\n" in first.stdout


def test_everything_that_a_fleet_has_is_removed_and_every_host_had_its_turn(small: Make) -> None:
    project = small(HOSTS[:6])
    deploy(project)
    done = project.inv("destroy", "--hosts", "all", "--yes")
    assert done.returncode == 0
    assert "no turn" not in done.stdout
    assert not any(project.marks(host).exists() for host in HOSTS[:6])
