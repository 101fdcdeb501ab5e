"""What has to hold of the bundle, on a host that takes everything from one."""

from __future__ import annotations

import pytest

from rolecall.api import Host
from rolecall.verify.checks import AsDeclared
from roles.bundle.role import bundle
from roles.bundle.settings import Bundle


def test_the_bundle_is_whole(described: Host, as_declared: AsDeclared) -> None:
    """It holds what the settings need, and every file has the digest that it came with."""
    if not described.settings(Bundle).path:
        pytest.skip("no bundle: what is needed comes over the network")
    as_declared(*bundle.resources(described))
