"""A plain process inside an image: what the image sets is lost at a login and taken up again."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.deployed import ROOT
from tests.rig.containers import BASE, Engine

SERVER = """#!/bin/sh
echo "$0 $*"
echo "LD_LIBRARY_PATH=$LD_LIBRARY_PATH"
echo "NVIDIA=$NVIDIA_TRITON_SERVER_VERSION"
echo "SECRET=$SECRET"
"""


@pytest.fixture
def place(podman: Engine, tmp_path: Path) -> Iterator[str]:
    """A container that runs, with an image's variables, as a notebook does."""
    server = tmp_path / "tritonserver"
    server.write_text(SERVER)
    server.chmod(0o755)
    name = f"place-{secrets.token_hex(4)}"
    podman(
        *("run", "--detach", "--rm", "--name", name, "--network=host"),
        *("--env=LD_LIBRARY_PATH=/of/the/image:/b c", "--env=NVIDIA_TRITON_SERVER_VERSION=26.06"),
        *("--env=SECRET=not for everybody", "--env=ODD=a\nLD_PRELOAD=b"),
        f"--mount=type=bind,source={ROOT}/roles,target=/roles,readonly",
        f"--mount=type=bind,source={tmp_path},target=/opt/tritonserver/bin,readonly",
        *(BASE, "sleep", "600"),
    )
    yield name
    podman("rm", "--force", "--time", "0", name)


def started(podman: Engine, name: str, environment: str, server: str = "") -> list[str]:
    script = "/roles/server/launch_installed.sh"
    done = podman(
        *("exec", name, "env", "-i", "PATH=/usr/bin:/bin", "/bin/sh", script),
        *(environment, server, "tritonserver", "--model-repository=/repo"),
    )
    return done.stdout.splitlines()


def test_the_images_variables_are_there_again(podman: Engine, place: str) -> None:
    assert started(podman, place, "/roles/runtime/host/environment.sh") == [
        "/opt/tritonserver/bin/tritonserver --model-repository=/repo",
        "LD_LIBRARY_PATH=/of/the/image:/b c",
        "NVIDIA=26.06",
        "SECRET=",
    ]


def test_without_them_nothing_is_taken_up(podman: Engine, place: str) -> None:
    assert started(podman, place, "")[1:3] == ["LD_LIBRARY_PATH=", "NVIDIA="]


def test_a_missing_server_is_told(podman: Engine, place: str) -> None:
    done = podman(
        *("exec", place, "env", "-i", "PATH=/usr/bin:/bin", "/bin/sh"),
        *("/roles/server/launch_installed.sh", "", "/nowhere/tritonserver", "mpirun"),
        check=False,
    )
    assert done.returncode == 127 and "there is no mpirun here" in done.stdout
