"""``status`` and ``logs`` of several hosts, each this machine with a home of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.deployed import INV, Completed, run_inv

SIX = tuple(f"h{number}" for number in range(1, 7))


class Many:
    """An inventory of hosts, and the logs that their servers left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        hosts = {
            name: {"ansible_connection": "local", "rolecall": {"home": str(folder / name)}}
            for name in SIX
        }
        hosts["h6"] = {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": 1,
        }
        self.inventory = folder / "hosts.json"
        self.inventory.write_text(json.dumps({"cpu": {"hosts": hosts}}))

    def log(self, host: str) -> Path:
        """The log of the host's server."""
        path = self.folder / host / "services" / "triton" / "log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def command(self, task: str, hosts: str, *args: str) -> list[str]:
        """The arguments of a task on ``hosts``."""
        return [task, "--inventory", str(self.inventory), "--hosts", hosts, *args]

    def inv(self, task: str, hosts: str, *args: str) -> Completed:
        """Run it."""
        return run_inv(*self.command(task, hosts, *args), timeout=120)


@pytest.fixture
def many(tmp_path: Path) -> Many:
    return Many(tmp_path)


def test_many_hosts_are_a_table(many: Many) -> None:
    done = many.inv("status", "all")
    assert done.returncode == 1 and not done.stderr, done.stderr
    heading, *rows, blank, summary, following = done.stdout.splitlines()
    assert heading.split()[:4] == ["host", "serving", "since", "engine"]
    assert [row.split()[0] for row in rows] == list(SIX)
    for row in rows[:5]:
        assert row.split()[1:5] == ["stopped", "-", "-", "-"] and "python: " in row
    assert "no answer" in rows[5] and "h6" in rows[5]
    assert (blank, summary) == ("", "0 of 6 hosts serve; not: h[1:6]")
    assert following.startswith("next: ./inv status --hosts h1,h2,h3,h4 ")


def test_few_hosts_and_many_that_were_asked_for_are_shown_in_full(many: Many) -> None:
    few = many.inv("status", "h1,h2").stdout.splitlines()
    assert [line for line in few if not line.startswith(" ")] == ["h1", "h2"]
    full = many.inv("status", "all", "-v")
    hosts = [line for line in full.stdout.splitlines() if not line.startswith(" ")]
    assert hosts == list(SIX[:5]) and "h6" in full.stderr


def test_the_logs_of_several_hosts_have_headings(many: Many) -> None:
    for host in ("h1", "h2"):
        many.log(host).write_bytes(f"first\n{host} said\n".encode() + b"not UTF-8: \xff\n")
    done = many.inv("logs", "h1,h2,h3", "--lines", "2")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "==> h1 <==",
        "h1 said",
        "not UTF-8: \\udcff",
        "",
        "==> h2 <==",
        "h2 said",
        "not UTF-8: \\udcff",
    ]
    assert "there is no log on h3" in done.stderr
    alone = many.inv("logs", "h1", "--lines", "2")
    assert alone.returncode == 0
    assert alone.stdout.splitlines() == ["h1 said", "not UTF-8: \\udcff"]


def test_followed_lines_of_several_hosts_begin_with_their_host(many: Many) -> None:
    for host in ("h1", "h2"):
        many.log(host).write_text(f"{host} began\n")
    command = [str(INV), *many.command("logs", "h1,h2", "-f")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        began = {process.stdout.readline() for _ in range(2)}
        assert began == {"h1  h1 began\n", "h2  h2 began\n"}
        for host in ("h2", "h1"):
            with many.log(host).open("a") as log:
                log.write("more\n")
            assert process.stdout.readline() == f"{host}  more\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert not process.stderr.read()
    deadline = time.monotonic() + 10
    while _followers(many.folder):
        assert time.monotonic() < deadline, "tail still follows"
        time.sleep(0.1)


def _followers(folder: Path) -> list[bytes]:
    """Processes whose command names the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if command.startswith(b"tail\0") and str(folder).encode() in command:
            found.append(command)
    return found
