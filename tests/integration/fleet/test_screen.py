"""What a run on fifty hosts shows: on a terminal, on a narrow one, on a pipe."""

from __future__ import annotations

import re
import time

import pytest

from tests.integration.fleet.conftest import Make
from tests.integration.fleet.small import Small, Terminal, until
from tests.rig.sshd import Sshd

FIFTY = [f"h{number:02d}" for number in range(1, 51)]


def fifty(small: Make, sshd: Sshd | None = None) -> Small:
    """Two fail alike, one otherwise, one cannot be reached."""
    project = small(FIFTY, sshd)
    for host in ("h03", "h06"):
        project.variables[host] = {"mark": {"step": "echo port in use; exit 3"}}
    project.variables["h07"] = {"mark": {"refuses": True}}
    project.unreachable("h05")
    return project


def frames(terminal: Terminal) -> list[list[str]]:
    """Every state of the live region: what was drawn between two times that it was erased."""
    drawn = re.split(r"(?:\x1b\[1A\x1b\[2K)+|\r\x1b\[2K", terminal.raw)
    plain = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", frame) for frame in drawn]
    return [
        frame.split("\n")[-20:]
        for frame in plain
        if re.search(r"^  (\d+ \w+  )+\d", frame, re.M) and "round trips" not in frame
    ]


def summary(frame: list[str]) -> dict[str, int]:
    (line,) = [line for line in frame if re.fullmatch(r"  (\d+ \w+  )+[\d.]+ \w+.*", line)]
    return {name: int(number) for number, name in re.findall(r"(\d+) ([a-z]{2,})  ", line)}


def test_a_terminal_of_24_lines_shows_fifty_hosts_over_ssh(small: Make, sshd: Sshd) -> None:
    project = fifty(small, sshd)
    terminal = project.terminal("deploy", "--hosts", "all", width=90, height=24)
    assert terminal.wait(120) == 1
    lines = terminal.lines
    assert "deploy on 50 hosts" in lines
    text = "\n".join(lines)
    assert text.count("port in use") == 1  # explained once
    assert re.search(r"h0[36]  ✗ failed   command:step  as on h0[36]", text)
    # What changed alike stands there once, with its hosts.
    assert len([line for line in lines if "marks/last" in line]) == 1
    assert "h01, h02, h04, h[08:50] (46 hosts)" in text
    assert "Of 50 hosts: 3 failed, 1 unreachable." in lines
    assert "next: ./inv deploy --hosts @failed" in lines
    assert "h03, h06: failed command:step: its apply ended with status 3" in lines
    assert len(lines) < 70
    # The live region: how far the run is, in at most half of the screen.
    seen = frames(terminal)
    assert len(seen) > 5
    for frame in seen:
        region = frame[next(i for i, line in enumerate(frame) if "  " in line) :]
        assert max(map(len, region)) <= 90
    totals = [summary(frame) for frame in seen if any("running" in line for line in frame)]
    assert all(sum(counts.values()) == 50 for counts in totals), totals
    assert any(counts.get("waiting", 0) > 20 and counts["running"] <= 10 for counts in totals)


def test_a_second_run_on_fifty_hosts_fits_a_screen(small: Make) -> None:
    project = small(FIFTY)
    assert project.inv("deploy", "--hosts", "all").returncode == 0
    terminal = project.terminal("deploy", "--hosts", "all", width=100, height=30)
    assert terminal.wait(120) == 0
    lines = [line for line in terminal.lines if line]
    assert len(lines) < 12
    assert any(re.match(r"h\[01:50\] +5 +0 +0 +0 +0 +1 +", line) for line in lines)
    assert any(line.startswith("Nothing to change, in ") for line in lines)


@pytest.mark.parametrize("width", [40, 60])
def test_a_narrow_terminal_is_kept_to(small: Make, width: int) -> None:
    project = fifty(small)
    terminal = project.terminal("deploy", "--hosts", "all", width=width, height=15)
    assert terminal.wait(120) == 1
    shown = [line for line in terminal.lines if "/" not in line]  # a path is never broken
    assert not [line for line in shown if len(line) > width]
    assert any("Of 50 hosts: 3 failed, 1 unreachable." in line for line in shown)


def test_a_window_may_change_its_size_meanwhile(small: Make) -> None:
    project = small(FIFTY[:12])
    for host in FIFTY[:10]:
        project.set(host, step="until [ -e go ]; do sleep 0.1; done")
    terminal = project.terminal("deploy", "--hosts", "all", width=120, height=40)
    until(lambda: terminal.text.count("command:step") > 20)
    for width, height in ((50, 10), (30, 6), (100, 24)):
        at = len(terminal.raw)
        terminal.resize(width, height)
        time.sleep(0.8)
        last = re.split(r"(?:\x1b\[1A\x1b\[2K)+", terminal.raw[at:])[-1]
        lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", last).split("\n")
        assert max(map(len, lines)) <= width
        assert len(lines) <= max(3, height // 2)
        assert "10 running" in lines[0]
    for host in FIFTY[:10]:
        (project.marks(host) / "go").touch()
    assert terminal.wait() == 0


def test_without_colour_a_terminal_gets_plain_lines(small: Make) -> None:
    project = small(FIFTY[:6])
    terminal = project.terminal("deploy", "--hosts", "all", NO_COLOR="1")
    assert terminal.wait() == 0
    assert "\x1b" not in terminal.raw
    assert "h[01:06] : ok=0 changed=5 skipped=0 failed=0 unreachable=0" in terminal.lines


def test_a_pipe_gets_a_line_for_each_host_and_the_recap_folds_them(small: Make) -> None:
    project = fifty(small)
    assert project.inv("deploy", "--hosts", "all").returncode == 1
    done = project.inv("deploy", "--hosts", "all")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    recap = lines.index("h01, h02, h04, h[08:50] : ok=5 changed=0 skipped=0 failed=0 unreachable=0")
    for line in lines[1:recap]:
        assert re.match(r"h\d\d  ", line), line
    for host in ("h01", "h50"):
        said = [line for line in lines[:recap] if line.startswith(host)]
        assert re.fullmatch(rf"{host}  ok        5 ok, 1 round trip, [\d.]+ s", said[0])
        assert said[1:] == [f"{host}  says      {host} answers"]
    assert lines[recap + 1 :][-5:] == [
        "failed: h03: command:step: its apply ended with status 3",
        "unreachable: h05: " + lines[-4].partition(": h05: ")[2],
        "failed: h06: command:step: its apply ended with status 3",
        "failed: h07: this machine is too small",
        "next: ./inv deploy --hosts @failed",
    ]
    assert "\x1b" not in done.stdout


def test_every_line_is_there_when_asked_for(small: Make) -> None:
    project = small(FIFTY[:6])
    done = project.inv("deploy", "--hosts", "all", "--verbose")
    assert done.returncode == 0
    assert done.stdout.count("  changed   file:") == 24
    terminal = project.terminal("deploy", "--hosts", "all", "--verbose", width=200)
    assert terminal.wait() == 0
    assert len([line for line in terminal.lines if "✓ ok" in line]) == 30
