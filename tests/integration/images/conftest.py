"""Fixtures of the images' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.deployed import ROOT
from tests.integration.images import gpu_base as gpu_bases
from tests.integration.images.project import Project
from tests.integration.images.wheels import download
from tests.rig import containers

#: What docker/cpu wants of its base, so that building on it needs no network.
PACKAGES = (*containers.PACKAGES, "python3-venv", "git", "openssh-client", "ca-certificates")
BASE = "localhost/rolecall-test-python:1"


@pytest.fixture(scope="session")
def podman() -> Iterator[containers.Engine]:
    """A container engine of the tests' own, with a base image for docker/cpu."""
    archive = containers.base_archive(PACKAGES)
    with containers.engine() as made:
        made("import", str(archive), BASE)
        yield made


@pytest.fixture(scope="session")
def base() -> str:
    """The base image that has all that docker/cpu wants of one."""
    return BASE


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, podman: containers.Engine) -> Project:
    """A copy of the project."""
    return Project.copy(tmp_path_factory.mktemp("images") / "project", podman)


@pytest.fixture(scope="session")
def wheels(podman: containers.Engine) -> Path:
    """All wheels that the images want, for the base's Python."""
    locks = [ROOT / "requirements.lock"]
    locks += [ROOT / f"roles/python/locks/{name}.txt" for name in ("cpu", "front", "tools")]
    return download(locks)


@pytest.fixture(scope="session")
def image(project: Project, base: str, wheels: Path) -> str:
    """The CPU image."""
    return project.built("--base", base, "--wheels", str(wheels))


@pytest.fixture(scope="session")
def gpu_base(podman: containers.Engine, base: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A base image that stands in for NVIDIA's."""
    return gpu_bases.build(podman, base, tmp_path_factory.mktemp("gpu-base"))


@pytest.fixture(scope="session")
def gpu_image(project: Project, gpu_base: str, wheels: Path) -> str:
    """The GPU image on that base."""
    options = ("--recipe", "gpu_engine", "--base", gpu_base)
    return project.built(*options, "--wheels", str(wheels))
