"""What has to hold of the machine itself: GPUs, driver, memory, C library."""

from __future__ import annotations

import pytest

from rolecall.api import Host
from roles.preflight.checks import Check, checks, environment_checks
from roles.preflight.deployment import plan
from roles.preflight.sizing.fit import DOES_NOT_FIT


def test_gpus_and_driver_are_as_needed(described: Host) -> None:
    """As many as the settings ask for, of one kind, with a driver that runs the image."""
    wanted = plan(described)
    if wanted is None:
        pytest.skip("no GPU is asked for")
    _hold(checks(described, wanted))


def test_the_c_library_runs_the_wheels(described: Host) -> None:
    """Those of the serving environment, where Rolecall makes one."""
    found = environment_checks(described)
    if not found:
        pytest.skip("the runtime brings its own C library")
    _hold(found)


def _hold(found: list[Check]) -> None:
    wrong = [one for one in found if one.verdict == DOES_NOT_FIT]
    assert not wrong, "\n".join(
        [*(f"{one.title}: {one.said}" for one in wrong), *(f"next: {one.hint}" for one in wrong)]
    )
