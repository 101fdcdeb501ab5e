"""What Docker's own client says of the command lines; it parses them before it asks its daemon."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from roles.runtime.containers import mount_options, publish_options, run_options
from roles.runtime.settings import Runtime
from tests.integration.deployed import ROOT

CONTAINER = ROOT / "roles/runtime/host/container.sh"


@pytest.fixture
def docker() -> str:
    found = shutil.which("docker")
    if found is None:
        pytest.skip("docker is not installed")
    assert found is not None
    version = subprocess.run([found, "--version"], capture_output=True, text=True).stdout
    if "Docker version" not in version:
        pytest.skip("docker is another program here")
    return found


def said(docker: str, *options: str) -> str:
    done = subprocess.run(
        [
            *("/bin/sh", str(CONTAINER), docker, "docker", "rolecall-test-x", *options),
            *("localhost/none:1", "true"),
        ],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        # No daemon is there, whatever this machine has.
        env={**os.environ, "DOCKER_HOST": "unix:///nonexistent/docker.sock"},
        timeout=60,
    )
    assert done.returncode == 125  # Docker's own failure, not the program's
    return done.stderr


@pytest.mark.parametrize("gpus", ["all", "0,1", "GPU-8a56a4bc,1", ""])
@pytest.mark.parametrize("network", ["host", "bridge"])
def test_it_takes_every_option(docker: str, gpus: str, network: str, tmp_path: Path) -> None:
    settings = Runtime(gpus=gpus, options=("--cpus=8",))
    message = said(
        docker,
        *run_options(settings, "docker"),
        *publish_options(network, "[::1]", (8000, 8001)),
        *mount_options([str(tmp_path)]),
        *mount_options([str(tmp_path)], writable=True),
        "--env=A=b c",
        "--workdir=/",
    )
    assert "connect to the Docker daemon" in message, message


def test_it_would_say_what_is_wrong(docker: str) -> None:
    assert "unknown flag" in said(docker, "--no-such-option")
