"""Builds inside the runtime: a real container, its files, its end."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rolecall.api import Artifact, Host, Resource
from rolecall.settings import Settings
from roles.engine.settings import Engine as EngineSettings
from roles.model.settings import Model
from roles.python.settings import Python
from roles.repo.settings import Repo
from roles.runtime.role import in_runtime, runtime
from roles.runtime.settings import Runtime
from tests.rig.containers import BASE, Engine
from tests.support import converge


def settings(podman: Engine, **changes: object) -> dict[str, Settings]:
    values: dict[str, object] = {
        "kind": "container",
        "engine": "podman",
        "client": podman.client,
        "image": BASE,
        "gpus": "",
        "ulimits": (),
    }
    return {
        "runtime": Runtime(**{**values, **changes}),  # type: ignore[arg-type]
        "engine": EngineSettings(),
        "model": Model(),
        "python": Python(),
        "repo": Repo(),
    }


def wanted(build: str) -> Callable[[Host], list[Resource]]:
    """The runtime and an artifact that is built in it."""

    def resources(host: Host) -> list[Resource]:
        artifact = Artifact(
            "thing",
            host.path("artifacts"),
            inputs=(("a", build),),
            variables=(("IN_RUNTIME", in_runtime(host)),),
            build=f'eval "$IN_RUNTIME"\n{build}',
        )
        return [*runtime.resources(host), artifact]  # type: ignore[list-item]

    return resources


def test_a_build_runs_in_the_image_and_leaves_its_files(podman: Engine, tmp_path: Path) -> None:
    build = """
in_runtime sh -c 'cat /etc/debian_version; id -u; pwd; echo "$OUT"; echo "$HOME"' >said
in_runtime touch "a b"
in_runtime sh -c 'exit 7' || echo $? >>said
"""
    done = converge(wanted(build), tmp_path / "home", settings=settings(podman))
    assert done.outcomes["artifact:thing"] == "changed", done.why("artifact:thing")
    place = (tmp_path / "home/artifacts/thing/current").resolve()
    assert (place / "a b").stat().st_uid == os.getuid()
    version, uid, folder, out, home, status = (place / "said").read_text().splitlines()
    assert version.startswith("12")
    assert (uid, status) == (str(os.getuid()), "7")
    assert folder == out == f"{place.parent}/.building-{place.name}"
    assert home == str(tmp_path / "home/cache/runtime")
    assert podman.names("-a") == []
    again = converge(wanted(build), tmp_path / "home", settings=settings(podman))
    assert set(again.outcomes.values()) == {"ok"} and again.exchanges == 1


def test_a_failure_in_the_image_is_the_builds(podman: Engine, tmp_path: Path) -> None:
    done = converge(
        wanted("in_runtime sh -c 'echo it broke; exit 3'"),
        tmp_path / "home",
        settings=settings(podman),
    )
    assert done.outcomes["artifact:thing"] == "failed"
    assert "it broke" in done.why("artifact:thing")


@pytest.mark.parametrize("signal", ["TERM", "KILL"])
def test_the_container_ends_with_its_job(signal: str, podman: Engine, tmp_path: Path) -> None:
    """TERM as ``./inv jobs --stop`` sends it; after KILL the next try clears what is left."""
    build = "in_runtime sleep 600"
    home = tmp_path / "home"
    results = []
    run = threading.Thread(
        target=lambda: results.append(converge(wanted(build), home, settings=settings(podman)))
    )
    run.start()
    _eventually(lambda: bool(podman.names()))
    (name,) = podman.names()
    (job,) = [path for path in (home / "jobs").iterdir() if path.name.startswith("thing-")]
    assert name.endswith(job.name)
    leader = (job / "identity").read_text().split(":")[1]
    subprocess.run(["kill", f"-{signal}", "--", f"-{leader}"], check=True)
    run.join(30)
    assert results and results[0].outcomes["artifact:thing"] == "failed"
    if signal == "TERM":
        _eventually(lambda: podman.names("-a") == [])
        return
    assert podman.names() == [name]
    again = threading.Thread(
        target=lambda: converge(wanted(build), home, settings=settings(podman))
    )
    before = podman("inspect", "--format", "{{.Id}}", name).stdout
    again.start()
    _eventually(
        lambda: (
            podman("inspect", "--format", "{{.Id}}", name, check=False).stdout not in ("", before)
        )
    )
    assert podman.names() == [name]
    leader = (job / "identity").read_text().split(":")[1]
    subprocess.run(["kill", "-TERM", "--", f"-{leader}"], check=True)
    again.join(30)
    _eventually(lambda: podman.names("-a") == [])


def _eventually(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.2)


def test_an_engine_that_does_not_answer_is_told(podman: Engine, tmp_path: Path) -> None:
    broken = tmp_path / "docker"
    broken.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n")
    broken.chmod(0o755)
    done = converge(
        runtime.resources,  # type: ignore[arg-type]
        tmp_path / "home",
        settings=settings(podman, engine="docker", client=str(broken)),
    )
    assert done.outcomes["requirement:container engine"] == "failed"
    assert "Cannot connect to the Docker daemon" in done.why("requirement:container engine")


def test_podman_without_a_gpu_specification_is_told(podman: Engine, tmp_path: Path) -> None:
    if any(Path(place).is_dir() for place in ("/etc/cdi", "/var/run/cdi")):
        pytest.skip("this machine has CDI specifications")
    done = converge(
        runtime.resources,  # type: ignore[arg-type]
        tmp_path / "home",
        settings=settings(podman, gpus="all"),
    )
    why = done.why("requirement:GPUs in containers")
    assert "no CDI specification" in why and "nvidia-ctk cdi generate" in why
