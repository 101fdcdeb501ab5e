"""What a bundle is for: from what is known of a host, and from the command line."""

from __future__ import annotations

import pytest

from rolecall.errors import ConfigError
from rolecall.facts import Facts
from rolecall.resource import Observed
from roles.bundle.collect.target import Asked, described

KNOWN = Facts.parse(
    Observed(
        "",
        {
            "arch": "aarch64",
            "os_id": "debian",
            "os_version": "12",
            "libc": "glibc 2.36",
            "python": "/usr/bin/python3",
            "python_version": "3.11.2",
            "package_manager": "apt",
        },
    ),
    Observed("", {"gpu.driver": "590.44.01"}),
)


def test_a_known_host_says_it_all() -> None:
    machine, facts = described("h", Asked(), KNOWN)
    assert (machine.python, machine.arch, machine.glibc) == ("3.11", "aarch64", (2, 36))
    assert machine.release == "debian-12"
    assert facts.extra == {"gpu.driver": "590.44.01"}


def test_the_command_line_wins() -> None:
    asked = Asked(python="3.12", glibc="2.31", arch="x86_64")
    machine, facts = described("h", asked, KNOWN)
    assert (machine.python, machine.arch, machine.glibc) == ("3.12", "x86_64", (2, 31))
    assert (facts.python_release, facts.arch) == ((3, 12), "x86_64")


def test_a_release_brings_its_own_python_and_library() -> None:
    machine, facts = described("h", Asked(os="ubuntu:24.04", arch="x86_64"), None)
    assert (machine.python, machine.glibc) == ("3.12", (2, 39))
    assert (facts.os_id, facts.os_version, facts.package_manager) == ("ubuntu", "24.04", "apt")


def test_of_an_unknown_host_it_is_said_how_to_know_it() -> None:
    with pytest.raises(ConfigError, match="nothing is known of h yet") as caught:
        described("h", Asked(arch="x86_64"), None)
    assert "./inv plan --hosts h" in caught.value.hint and "--os ubuntu:24.04" in caught.value.hint


def test_a_host_without_glibc_is_refused() -> None:
    alpine = Facts.parse(Observed("", {"arch": "x86_64", "os_id": "alpine", "os_version": "3.20"}))
    with pytest.raises(ConfigError, match="which wheels run there"):
        described("h", Asked(python="3.12"), alpine)


@pytest.mark.parametrize("asked", [{"python": "3"}, {"glibc": "new"}, {"os": "ubuntu"}])
def test_what_is_no_release_is_refused(asked: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        Asked(**asked)


def test_platforms_are_those_of_the_library_and_older_ones() -> None:
    machine, _ = described("h", Asked(os="debian:12", arch="x86_64"), None)
    tags = machine.platforms
    assert tags[0] == "manylinux_2_36_x86_64" and tags[-1] == "linux_x86_64"
    assert {"manylinux2014_x86_64", "manylinux1_x86_64", "manylinux_2_17_x86_64"} <= set(tags)
    assert "manylinux_2_37_x86_64" not in tags
    arm, _ = described("h", Asked(os="debian:12", arch="aarch64"), None)
    assert "manylinux1_aarch64" not in arm.platforms
