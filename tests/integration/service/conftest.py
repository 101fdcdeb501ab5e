"""Fixtures of the service tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.service.rig import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A service under test; afterwards nothing of it may run."""
    rig = Rig(tmp_path)
    yield rig
    rig.close()
