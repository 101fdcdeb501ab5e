"""A bundle of the CPU recipe, collected once and kept: a run of the tests only verifies it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.integration.deployed import run_inv
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
