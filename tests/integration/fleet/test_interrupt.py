"""Ctrl-C over a fleet: real ssh hosts, a real terminal, the key pressed."""

from __future__ import annotations

import signal
import socket
import time

from tests.integration.fleet.conftest import Make
from tests.integration.fleet.small import until
from tests.rig.sshd import Sshd

HOSTS = [f"h{number}" for number in range(1, 9)]


def test_ctrl_c_lets_go_of_every_host_and_the_next_run_completes_them(
    small: Make, sshd: Sshd
) -> None:
    project = small(HOSTS, sshd)
    project.set("h2", job="until [ -e go ]; do sleep 0.1; done")
    project.set("h3", step="sleep 600")
    terminal = project.terminal("deploy", "--hosts", "all", "--forks", "4")
    until(lambda: project.starts("h2") and project.locked("h3"))
    # Two of four turns are taken by hosts that wait: the others are done, in the other two.
    until(lambda: "6 changed  2 running" in terminal.text)
    pressed = time.monotonic()
    terminal.press()
    assert terminal.wait() == 130
    assert time.monotonic() - pressed < 8
    shown = "\n".join(terminal.lines)
    assert "Traceback" not in shown and "Exception" not in shown
    assert "interrupted: letting go of h2, h3; detached jobs go on" in shown
    assert "Not finished: h2, in job:work" in shown
    assert "Not finished: h3, in command:step" in shown
    assert "Of 8 hosts: 2 not finished." in shown
    assert "next: ./inv deploy --hosts @failed" in shown
    assert terminal.raw.rfind("\x1b[?25h") > terminal.raw.rfind("\x1b[?25l")
    assert project.failed == ["h2", "h3"]
    until(lambda: not project.locked("h2") and not project.locked("h3"), 8)

    project.set("h3")
    (project.marks("h2") / "go").touch()
    again = project.inv("deploy", "--hosts", "@failed")
    assert again.returncode == 0, again.stdout + again.stderr
    assert project.starts("h2") == 1
    assert not project.failed
    assert all((project.marks(host) / "last").exists() for host in HOSTS)


def test_hosts_that_had_no_turn_are_told_and_are_in_the_file(small: Make, sshd: Sshd) -> None:
    project = small(HOSTS, sshd)
    for host in ("h1", "h2"):
        project.set(host, step="touch begun; sleep 600")
    run = project.start("deploy", "--hosts", "all", "--forks", "2")
    until(lambda: all((project.marks(host) / "begun").exists() for host in ("h1", "h2")))
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=20)
    assert run.returncode == 130
    assert "Traceback" not in out + err
    assert err == "interrupted\n  next: ./inv deploy --hosts @failed\n"
    assert "no turn: h[3:8]: interrupted before its turn" in out
    assert "h1  not over  in command:step" in out
    assert project.failed == HOSTS
    assert not project.locked("h1") and not project.locked("h2")


def test_a_second_ctrl_c_leaves_at_once(small: Make, sshd: Sshd) -> None:
    project = small(HOSTS[:5], sshd)
    project.set("h1", step="trap '' TERM; touch begun; sleep 30; sleep 30")
    terminal = project.terminal("deploy", "--hosts", "all")
    until((project.marks("h1") / "begun").exists)
    until(lambda: "4 changed  1 running" in terminal.text)
    terminal.press()
    until(lambda: "letting go of h1" in terminal.text)
    pressed = time.monotonic()
    terminal.press()
    assert terminal.wait() == 130
    assert time.monotonic() - pressed < 2
    assert "Traceback" not in terminal.raw
    assert project.failed == ["h1"]


def test_a_host_that_is_being_connected_to_keeps_nobody(small: Make, sshd: Sshd) -> None:
    project = small(HOSTS[:5], sshd)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes a connection and is mute
        project.variables["h1"] = {"ansible_port": silent.getsockname()[1]}
        project.save()
        run = project.start("deploy", "--hosts", "all", "--json")
        until(lambda: all((project.marks(host) / "last").exists() for host in HOSTS[1:5]))
        time.sleep(0.5)
        began = time.monotonic()
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=20)
        assert time.monotonic() - began < 5
    assert run.returncode == 130
    assert "Traceback" not in out + err
    assert project.failed == ["h1"]
