"""A loopback sshd under many names, and projects on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.fleet.small import Small, end_jobs
from tests.rig.sshd import Sshd

if TYPE_CHECKING:
    from collections.abc import Sequence

Make = Callable[..., Small]


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """One server for the module's tests, which leave it as it is."""
    server = Sshd(tmp_path_factory.mktemp("sshd")).start()
    yield server
    server.stop()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Make]:
    """Makes a project; its jobs end with the test."""
    made: list[Small] = []

    def make(hosts: Sequence[str], sshd: Sshd | None = None) -> Small:
        made.append(Small(tmp_path / "project", hosts, sshd))
        return made[-1]

    yield make
    for project in made:
        end_jobs(project)
