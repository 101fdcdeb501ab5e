"""A bundle of the CPU recipe, collected once and kept: a run of the tests only verifies it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from roles.bundle.collect.folder import Folder
from tests.integration.deployed import run_inv
from tests.integration.models.conftest import hub as hub
from tests.integration.models.conftest import tools_python as tools_python
from tests.rig import containers
from tests.rig.machines import CACHE

#: The rig's machines are Debian bookworm.
RELEASE = "debian:12"


@pytest.fixture(scope="session")
def collected() -> Path:
    """The bundle; skips where the registries cannot be reached."""
    place = CACHE / "bundle"
    asked = ("--os", RELEASE, "--arch", os.uname().machine)
    done = run_inv("bundle", "--output", str(place), *asked, timeout=480)
    if done.returncode:
        pytest.skip(f"no bundle can be collected here: {done.stderr[-300:]}")
    return place


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """A bundle with nothing in it yet."""
    with Folder.opened(tmp_path / "bundle") as made:
        yield made


@pytest.fixture(scope="module")
def podman() -> Iterator[containers.Engine]:
    """A container engine of the tests' own, with the base image."""
    with containers.engine() as made:
        yield made
