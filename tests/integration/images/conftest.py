"""Fixtures of the images' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.images.project import Project
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
