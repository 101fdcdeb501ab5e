"""Fixtures of the runtime tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.service.rig import Rig
from tests.rig import containers


@pytest.fixture(scope="session")
def podman() -> Iterator[containers.Engine]:
    """A container engine of the tests' own, with the base image."""
    with containers.engine() as made:
        yield made


@pytest.fixture
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A service under test; afterwards nothing of it may run."""
    made = Rig(tmp_path_factory.mktemp("service"))
    yield made
    made.close()
