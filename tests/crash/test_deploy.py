"""Kill a real first deploy at every resource that it changes: controller, shell and jobs.

What has been done stays done; the last run ends where an undisturbed one would.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: Kills are far fewer than this; more means that a run makes no headway.
MOST_RUNS = 40

#: Kinds whose changes take long enough to be killed in the middle; others are killed at once.
LONG = {"venv", "python-packages", "artifact", "service"}


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Deployment:
    """A deployment of its own, driven through the command line."""

    def __init__(self, home: Path) -> None:
        self.home = home
        http, grpc, metrics = free_ports(3)
        values = {
            "rolecall.home": home,
            "server.http_port": http,
            "server.grpc_port": grpc,
            "server.metrics_port": metrics,
        }
        self.sets = [
            part for name, value in values.items() for part in ("--set", f"{name}={value}")
        ]

    def command(self, task: str, *options: str) -> list[str]:
        return [sys.executable, "-m", "rolecall", task, "--json", *options, *self.sets]

    def run(self, task: str, *options: str) -> list[dict[str, object]]:
        done = subprocess.run(
            self.command(task, *options), cwd=ROOT, capture_output=True, text=True, timeout=600
        )
        events = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0, (done.stderr, events[-3:])
        return events

    def deploy_and_kill(self, chance: random.Random, known: set[str]) -> str:
        """Deploy, and kill everything some time into a change that is not ``known`` yet.

        Returns the id of the resource that was being changed; empty if the run came through.
        """
        process = subprocess.Popen(
            self.command("deploy"),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        with process, process.stdout:
            for line in process.stdout:
                event = json.loads(line)
                if event["event"] == "applying" and event["id"] not in known:
                    if str(event["id"]).partition(":")[0] in LONG:
                        time.sleep(chance.choice([0.0, 0.1, 0.7, 2.0]))
                    self.kill(process.pid)
                    return str(event["id"])
        assert process.returncode == 0
        return ""

    def kill(self, controller: int) -> None:
        """SIGKILL the controller, its shell, every step and every job, but not the service."""
        groups = [controller]
        for task in Path(f"/proc/{controller}/task").glob("*/children"):
            with suppress(OSError):
                groups += [int(pid) for pid in task.read_text().split()]
        for identity in self.home.glob("jobs/*/identity"):
            groups.append(int(identity.read_text().split(":")[1]))
        for group in groups:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)


@pytest.mark.parametrize("seed", [1])
def test_a_deploy_killed_at_every_resource_ends_as_an_undisturbed_one(
    seed: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    deployment = Deployment(tmp_path / "home")
    killed: set[str] = set()
    try:
        for _ in range(MOST_RUNS):
            resource = deployment.deploy_and_kill(chance, killed)
            if not resource:
                break
            killed.add(resource)
        # A host is ahead of its events, so that a kill can come after the next change.
        assert {"artifact:model", "artifact:engine"} <= killed
        assert len(killed) >= 8
        recap = deployment.run("deploy")[-1]
        counts = recap["hosts"]["localhost"]  # type: ignore[index]
        assert counts["changed"] == counts["failed"] == counts["unreachable"] == 0
        answered = deployment.run("plan", "--detailed-exitcode")[-1]
        assert answered["hosts"]["localhost"]["changed"] == 0  # type: ignore[index]
    finally:
        deployment.run("destroy", "--yes")
    assert not (tmp_path / "home").exists()
