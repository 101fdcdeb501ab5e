"""What has to hold of the Python environments after a deploy."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall.api import Host
from roles.python.installed import Environment, environment_of
from roles.python.role import environments, lock_of


def each(host: Any, described: Host) -> dict[str, Environment]:
    """What is in every environment that the settings need, by the name of its lock."""
    paths = environments(described)
    if not paths:
        pytest.skip("what serves comes from elsewhere, and nothing needs the tools")
    return {name: environment_of(host, path) for name, path in paths.items()}


def test_every_environment_works(host: Any, described: Host) -> None:
    """Its interpreter starts, and is the one of the environment."""
    broken = [f"  {one.path}: {one.error}" for one in each(host, described).values() if one.error]
    assert not broken, "\n".join(["a Python environment does not work:", *broken, _next(described)])


def test_every_package_is_the_pinned_one(host: Any, described: Host) -> None:
    """Each environment has what its lock names, in exactly that version."""
    wrong = [
        f"  {one.path}: {line}"
        for name, one in each(host, described).items()
        for line in one.other_versions(lock_of(name))
    ]
    assert not wrong, "\n".join(["not as the lock says:", *wrong, _next(described)])


def test_no_file_of_a_package_is_missing(host: Any, described: Host) -> None:
    """Every file that a package has installed is there, in the size it had."""
    wrong = [
        f"  {one.path}: {line}" for one in each(host, described).values() for line in one.damaged
    ]
    assert not wrong, "\n".join(
        [
            "not as it was installed:",
            *wrong[:20],
            *([f"  and {len(wrong) - 20} more"] if len(wrong) > 20 else []),
            "next: remove the environment, then ./inv deploy makes it anew",
        ]
    )


def _next(described: Host) -> str:
    return f"next: ./inv python --hosts {described.name}"
