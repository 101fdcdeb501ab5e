"""Wheels, by the pins and hashes of a lock."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rolecall.errors import ConfigError, RolecallError
from rolecall.resources.python_packages import Pin, pins
from roles.bundle.collect.folder import Folder
from roles.bundle.collect.pip import Pip
from roles.bundle.collect.target import Machine
from roles.bundle.needs import Need, Wheel, Wheels

#: Wheels that are downloaded at the same time.
_PARALLEL = 4


def collect(folder: Folder, need: Wheels | Wheel, machine: Machine, pip: Pip) -> list[str]:
    """Have all wheels of ``need`` in the folder; returns their paths.

    Raises:
        RolecallError: one cannot be had, or comes with another digest.
        ConfigError: the lock is not made for that Python.
    """
    wanted = _pins(need)
    meant, _ = pip.choose(machine, [pin.marker for pin in wanted], [])
    wanted = [pin for pin, is_meant in zip(wanted, meant, strict=True) if is_meant]
    held = _held(folder, wanted, machine, pip)
    lacking = [pin for pin in wanted if pin not in held]

    def fetch(pin: Pin) -> str:
        return _fetch(folder, pin, machine, pip, need)

    with ThreadPoolExecutor(_PARALLEL) as pool:
        brought = list(pool.map(fetch, lacking))
    return [*held.values(), *brought]


def _pins(need: Need) -> Sequence[Pin]:
    if isinstance(need, Wheel):
        return pins(f"{need.requirement} --hash=sha256:{need.sha256}")
    assert isinstance(need, Wheels)
    return pins(need.lock)


def check(need: Wheels, machine: Machine) -> None:
    """Refuse a Python that the lock has no wheels for.

    Raises:
        ConfigError: it is too old or too new.
    """
    minor = _minor(machine.python)
    if not 10 <= minor < _minor(need.below):
        raise ConfigError(
            f"the wheels of lock {need.name} are for Python 3.10 to 3.{_minor(need.below) - 1}, "
            f"not for {machine.python}",
            "say with --python which of the host's Pythons the environment is to be made with",
        )


def _minor(release: str) -> int:
    return int(release.split(".")[1])


def _held(folder: Folder, wanted: Sequence[Pin], machine: Machine, pip: Pip) -> dict[Pin, str]:
    """What is there already, and right for this machine."""
    paths = [path for path in folder.files if path.startswith("wheels/")]
    _, usable = pip.choose(machine, [], [Path(path).name for path in paths])
    by_hash = {
        f"sha256:{folder.files[path]['sha256']}": path
        for path, is_usable in zip(paths, usable, strict=True)
        if is_usable
    }
    found: dict[Pin, str] = {}
    for pin in wanted:
        for digest in pin.hashes:
            if digest in by_hash:
                found[pin] = by_hash[digest]
    return found


def _fetch(folder: Folder, pin: Pin, machine: Machine, pip: Pip, need: Need) -> str:
    staging = folder.staging(f"{pin.name}-{pin.version}")
    hashes = " ".join(f"--hash={digest}" for digest in pin.hashes)
    said = pip.download(f"{pin.name}=={pin.version} {hashes}", staging, machine)
    if said:
        raise _explained(pin, said, machine, need)
    (wheel,) = staging.glob("*.whl")
    return folder.add(wheel, f"wheels/{wheel.name}", f"{pin.name}=={pin.version}")


def _explained(pin: Pin, said: str, machine: Machine, need: Need) -> RolecallError:
    name = f"{pin.name}=={pin.version}"
    if "DO NOT MATCH THE HASHES" in said:
        return RolecallError(
            f"{name}: the file that came is not the one whose hash the lock has",
            "it is corrupt or was tampered with; look at the package index that pip uses here",
        )
    if "No matching distribution" in said:
        return RolecallError(
            f"{name}: the package index has no wheel of it for Python {machine.python}, "
            f"{machine.arch}, glibc {machine.glibc[0]}.{machine.glibc[1]} ({need.what})",
            "check --python, --arch and --glibc, and which index pip uses here",
        )
    return RolecallError(
        f"{name} could not be downloaded: {said[-500:]}",
        "check the network and pip's settings here; what has come is kept: run this again",
    )
