"""A loopback sshd for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.sshd import Sshd


@pytest.fixture(scope="session")
def shared_sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = Sshd(tmp_path_factory.mktemp("sshd")).start()
    yield server
    server.stop()


@pytest.fixture
def sshd(shared_sshd: Sshd) -> Iterator[Sshd]:
    """An sshd for tests that leave it as it is; no connection of another test is open."""
    yield shared_sshd
    shared_sshd.cut()


@pytest.fixture
def own_sshd(tmp_path: Path) -> Iterator[Sshd]:
    """An sshd for one test that changes it."""
    server = Sshd(tmp_path / "sshd").start()
    yield server
    server.stop()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Rolecall's own directory on the host."""
    return tmp_path / "home"
