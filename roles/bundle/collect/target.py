"""The host that a bundle is for: its Python, machine, C library and release."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rolecall.errors import ConfigError
from rolecall.facts import Facts
from rolecall.resource import Observed

#: The Python of a release's package python3 (packages.debian.org, packages.ubuntu.com).
_PYTHONS = {
    "debian-11": "3.9",
    "debian-12": "3.11",
    "debian-13": "3.13",
    "ubuntu-22.04": "3.10",
    "ubuntu-24.04": "3.12",
    "ubuntu-26.04": "3.14",
}

#: The C library of a release, as major and minor version.
_GLIBCS = {
    "debian-11": "2.31",
    "debian-12": "2.36",
    "debian-13": "2.41",
    "ubuntu-22.04": "2.35",
    "ubuntu-24.04": "2.39",
    "ubuntu-26.04": "2.43",
}

_RELEASE = r"\d+\.\d+"


@dataclass(frozen=True)
class Asked:
    """What the command line says of the host; empty where it leaves it to the host's facts."""

    python: str = ""
    arch: str = ""
    glibc: str = ""
    os: str = ""

    def __post_init__(self) -> None:
        for option, value in (("--python", self.python), ("--glibc", self.glibc)):
            if value and not re.fullmatch(_RELEASE, value):
                raise ConfigError(f"{option} {value!r} is not a release such as 3.12")
        if self.os and not re.fullmatch(r"[a-z]+:[0-9.]+", self.os):
            raise ConfigError(f"--os {self.os!r} is not of the form ubuntu:24.04")

    @property
    def release(self) -> str:
        """``os`` as in keys: ``ubuntu-24.04``."""
        return self.os.replace(":", "-")

    @property
    def is_complete(self) -> bool:
        """Whether the host itself need not be known."""
        known = self.release in _PYTHONS
        return bool(self.arch and self.os) and bool(known or (self.python and self.glibc))


@dataclass(frozen=True)
class Machine:
    """A host, as far as wheels and packages are chosen by it."""

    python: str
    arch: str
    glibc: tuple[int, int]
    release: str

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platform tags of wheels that run there, the best first (PEP 600)."""
        major, minor = self.glibc
        lowest = 5 if self.arch == "x86_64" else 17
        old = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
        tags: list[str] = []
        for number in range(minor, lowest - 1, -1):
            tags.append(f"manylinux_{major}_{number}_{self.arch}")
            if number in old:
                tags.append(f"{old[number]}_{self.arch}")
        return (*tags, f"linux_{self.arch}")


def described(name: str, asked: Asked, facts: Facts | None) -> tuple[Machine, Facts]:
    """The machine that ``asked`` and the facts of a host describe, and facts that say so.

    Raises:
        ConfigError: something that matters is not known.
    """
    if facts is None and not asked.is_complete:
        raise ConfigError(
            f"nothing is known of {name} yet",
            f"./inv plan --hosts {name} asks it once; or say what it is: --arch x86_64 "
            "--os ubuntu:24.04, and --python and --glibc where they are not that release's own",
        )
    release = asked.release or (f"{facts.os_id}-{facts.os_version}" if facts else "")
    found = ".".join(map(str, facts.python_release)) if facts and facts.python else ""
    python = asked.python or found or _PYTHONS.get(release, "")
    libc = (facts.libc if facts else "").removeprefix("glibc ")
    glibc = asked.glibc or (libc if not asked.os else "") or _GLIBCS.get(release, "")
    arch = asked.arch or (facts.arch if facts else "")
    if not python:
        raise ConfigError(f"the Python of {name} is not known", "say it: --python 3.12")
    if not re.fullmatch(_RELEASE, glibc):
        raise ConfigError(
            f"{name} has no glibc that is known ({libc or 'none found'}): which wheels run there "
            "cannot be said",
            "say it: --glibc 2.39",
        )
    major, minor = glibc.split(".")
    machine = Machine(python, arch, (int(major), int(minor)), release)
    return machine, _facts(machine, facts)


def _facts(machine: Machine, known: Facts | None) -> Facts:
    system, _, version = machine.release.partition("-")
    fields = {
        "hostname": known.hostname if known else "",
        "user": known.user if known else "root",
        "uid": str(known.uid) if known else "0",
        "home": known.home if known else "/root",
        "state_dir": known.state_dir if known else "/root/.rolecall",
        "os_id": system,
        "os_version": version,
        "arch": machine.arch,
        "libc": "glibc {}.{}".format(*machine.glibc),
        "package_manager": known.package_manager if known else _manager(system),
        "python": "python3",
        "python_version": f"{machine.python}.0",
        "python_venv": "True",
    }
    answer = Observed("", fields)
    return Facts.parse(answer, Observed("", known.extra) if known else None)


def _manager(system: str) -> str:
    return "apt" if system in {"debian", "ubuntu"} else "dnf"
