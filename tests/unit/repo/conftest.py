"""The programs of roles/repo/fill, imported as they run on a host: from their own folder."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

FILL = Path(__file__).parents[3] / "roles" / "repo" / "fill"
MODULES = ("errors", "placeholders", "model_config", "engine_limits", "token_ids", "fill")


@pytest.fixture(scope="module")
def fill_modules() -> Iterator[dict[str, ModuleType]]:
    """The modules by name; what they shadow is put back."""
    kept = {name: sys.modules.pop(name) for name in MODULES if name in sys.modules}
    sys.path.insert(0, str(FILL))
    try:
        yield {name: importlib.import_module(name) for name in MODULES}
    finally:
        sys.path.remove(str(FILL))
        for name in MODULES:
            sys.modules.pop(name, None)
        sys.modules.update(kept)
