"""One real deployment, made by ``./inv deploy``, for every test that needs a served model.

Tests share it: one that changes it brings it back, and ``restored`` says so.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
INV = ROOT / "inv"

#: Seconds after which a command counts as hung.
TIMEOUT = 300.0

Completed = subprocess.CompletedProcess[str]
Event = dict[str, Any]


def free_ports(count: int) -> tuple[int, ...]:
    """Ports that nobody listens on at this moment, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return tuple(one.getsockname()[1] for one in sockets)


def run_inv(
    *args: str,
    env: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
    cwd: Path = ROOT,
    inv: Path = INV,
) -> Completed:
    """Run ``./inv`` as a user would, without a terminal."""
    return subprocess.run(
        [str(inv), *args],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def events(done: Completed) -> list[Event]:
    """What a command with ``--json`` said: every line is an event."""
    return [json.loads(line) for line in done.stdout.splitlines()]


def recap(done: Completed, host: str = "localhost") -> dict[str, int]:
    """The recap of a host: the last line, in exactly the documented form."""
    last = events(done)[-1]
    assert set(last) == {"event", "hosts"} and last["event"] == "recap", last
    counts: dict[str, int] = last["hosts"][host]
    assert set(counts) == {"ok", "changed", "skipped", "failed", "unreachable"}
    return counts


def outcomes(done: Completed) -> dict[str, str]:
    """The outcome of every resource, by id."""
    return {event["id"]: event["outcome"] for event in events(done) if event["event"] == "resource"}


def failure(done: Completed) -> str:
    """Why a run with ``--json`` failed, without everything else that it said."""
    said = [
        f"{event.get('id', '')} {event.get('reason', '')} {event.get('error', '')}"
        for event in events(done)
        if event.get("outcome") in {"failed", "unreachable"} or event.get("error")
    ]
    return "\n".join([*said, done.stderr])


@dataclass(frozen=True)
class Deployment:
    """Where a deployment lies, and the commands about it."""

    home: Path
    ports: tuple[int, int, int]
    inventory: Path | None = None

    @property
    def options(self) -> list[str]:
        """The options that make a command mean this deployment."""
        values = {
            "rolecall.home": self.home,
            "server.http_port": self.ports[0],
            "server.grpc_port": self.ports[1],
            "server.metrics_port": self.ports[2],
        }
        sets = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
        return [*sets, *(["--inventory", str(self.inventory)] if self.inventory else [])]

    def inv(
        self, *args: str, env: Mapping[str, str] | None = None, timeout: float = TIMEOUT
    ) -> Completed:
        """Run a task on this deployment."""
        return run_inv(*args, *self.options, env=env, timeout=timeout)

    @property
    def http(self) -> str:
        """Base URL of the HTTP API."""
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def grpc(self) -> str:
        """host:port of the gRPC API."""
        return f"127.0.0.1:{self.ports[1]}"

    @property
    def metrics(self) -> str:
        """Base URL of the metrics."""
        return f"http://127.0.0.1:{self.ports[2]}"

    @property
    def engine_dir(self) -> Path:
        """The engine in use."""
        return (self.home / "artifacts" / "engine" / "current").resolve()

    @property
    def python(self) -> Path:
        """The interpreter of the serving environment."""
        return self.home / "python" / "cpu" / "bin" / "python"

    @property
    def log_path(self) -> Path:
        """The server's log."""
        return self.home / "services" / "triton" / "log"

    @property
    def first_log(self) -> Path:
        """The log of the run that made it, kept when later runs have driven it from the record."""
        (log,) = self.home.parent.glob("*.jsonl")
        return log

    @property
    def server_pid(self) -> int:
        """The process of tritonserver. Raises ``FileNotFoundError`` when it does not run."""
        return process_id((self.home / "services" / "triton" / "running").read_text())

    @property
    def supervisor_pid(self) -> int:
        """The process that keeps it running."""
        return process_id(str((self.home / "services" / "triton" / "supervisor").readlink()))

    def is_ready(self) -> bool:
        """Whether the server says that it can answer."""
        try:
            with urllib.request.urlopen(f"{self.http}/v2/health/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def process_id(identity: str) -> int:
    """The process of a service's identity (BOOT:PID:START)."""
    return int(identity.split(":")[1])


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A served model, for the length of the test run."""
    home = tmp_path_factory.mktemp("deployed") / "home"
    http, grpc, metrics = free_ports(3)
    deployment = Deployment(home, (http, grpc, metrics))
    try:
        done = deployment.inv("deploy", "--json")
        assert done.returncode == 0, failure(done)
        counts = recap(done)
        assert counts["changed"] > 0 and counts["failed"] == counts["unreachable"] == 0
        shutil.copy(ROOT / f".rolecall/runs/{events(done)[0]['run']}.jsonl", home.parent)
        yield deployment
    finally:
        done = deployment.inv("destroy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not home.exists()
