"""What has to hold of the operating system after a deploy."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall.api import Absent, Host, Package, Unless
from roles.system.role import system
from roles.system.settings import System


def test_the_packages_are_installed(host: Any, described: Host) -> None:
    """Every package that the settings ask for, as the package manager knows it."""
    packages = described.settings(System).packages
    if not packages:
        pytest.skip("system.packages asks for none")
    missing = [name for name in packages if not host.package(name).is_installed]
    assert not missing, (
        f"not installed: {', '.join(missing)}\nnext: ./inv system --hosts {described.name}"
    )


def test_what_a_deployment_needs_is_there(host: Any, described: Host) -> None:
    """Python with its library and venv, authorities for TLS, git: from a package or otherwise."""
    needed = [one for one in system.resources(described) if isinstance(one, Unless)]
    if not needed:
        pytest.skip("a host without apt has to bring them itself")
    missing = [
        one.resource.name
        for one in needed
        if host.run(one.test).rc != 0
        and not (isinstance(one.resource, Package) and host.package(one.name).is_installed)
    ]
    assert not missing, (
        f"neither there nor installed as a package: {', '.join(missing)}\n"
        f"next: ./inv system --hosts {described.name}"
    )


def test_what_was_to_be_removed_is_gone(host: Any, described: Host) -> None:
    """The files of ``system.remove``."""
    paths = [one.path for one in system.resources(described) if isinstance(one, Absent)]
    if not paths:
        pytest.skip("system.remove names nothing")
    there = [path for path in paths if host.file(path).exists]
    assert not there, (
        f"still there: {', '.join(there)}\nnext: ./inv system --hosts {described.name}"
    )
