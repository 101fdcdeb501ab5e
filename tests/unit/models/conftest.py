"""The parts of the fetching program that need no client of a hub."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

FOLDER = Path(__file__).parents[3] / "roles/model/fetch"


@pytest.fixture(scope="session")
def program() -> SimpleNamespace:
    """Its modules, by name; their bare names stay free for other programs' tests."""
    names = [path.stem for path in FOLDER.glob("*.py")]
    others = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(FOLDER))
    try:
        wanted = ("errors", "listing", "source", "store", "integrity", "directory")
        return SimpleNamespace(**{name: importlib.import_module(name) for name in wanted})
    finally:
        sys.path.remove(str(FOLDER))
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(others)
