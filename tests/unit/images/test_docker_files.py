"""The Dockerfiles and their scripts, as their own linters see them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from roles.images.engine import LABEL, Engine

ROOT = Path(__file__).parents[3]


def _tool(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_hadolint_finds_nothing(name: str) -> None:
    file = ROOT / "docker" / name / "Dockerfile"
    assert "hadolint ignore" not in file.read_text()
    done = subprocess.run([_tool("hadolint"), str(file)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_shellcheck_finds_nothing() -> None:
    scripts = [str(path) for path in sorted((ROOT / "docker").rglob("*.sh"))]
    command = [_tool("shellcheck"), "--shell=sh", "--exclude=SC1091", *scripts]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_build_is_asked_for_as_each_engine_wants_it(tmp_path: Path) -> None:
    said = tmp_path / "said"
    client = tmp_path / "client"
    client.write_text(f'#!/bin/sh\nprintf "%s\\n" "$DOCKER_BUILDKIT" "$@" >{said}\n')
    client.chmod(0o755)
    for kind, own in (("docker", []), ("podman", ["--format=docker"])):
        engine = Engine(kind, str(client))
        engine.build(tmp_path, "localhost/x:1", {"BASE": "a b"}, "cafe", "none")
        assert said.read_text().splitlines() == [
            *("1", "build", "--build-arg=BASE=a b", "--network=none", *own),
            *(f"--label={LABEL}=cafe", "--tag=localhost/x:1"),
            *(f"--file={tmp_path}/Dockerfile", str(tmp_path)),
        ]
