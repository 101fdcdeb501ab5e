from pathlib import Path

import pytest

from tests.support import SHELLS, find_shell


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each shell that a host may have."""
    return find_shell(request.param, tmp_path / "shells")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Rolecall's own directory on the host."""
    return tmp_path / "home"
