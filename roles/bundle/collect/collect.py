"""Collects what the recipes of hosts need into one directory, and completes one that is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.errors import ConfigError
from rolecall.role import Host
from rolecall.settings import RunnerSettings, Settings, nearest
from roles.bundle.collect import checkouts, debian, images, models, wheels
from roles.bundle.collect.folder import Folder
from roles.bundle.collect.pip import Pip
from roles.bundle.collect.target import Asked, Machine, described
from roles.bundle.needs import (
    KINDS,
    Checkout,
    DebianPackages,
    Fetched,
    Image,
    Need,
    Wheel,
    Wheels,
    all_needs,
)
from roles.bundle.settings import Bundle

#: The first Python that the wheels of ``./inv`` itself are not made for.
_NO_PYTHON_YET = "3.15"


@dataclass(frozen=True)
class Wanted:
    """What one host needs, and what it is like."""

    host: Host
    machine: Machine
    needs: tuple[Need, ...]


def collect(
    project: Project, flags: Flags, output: Path, asked: Asked, without: str, *, runner: bool
) -> None:
    """Make or complete the bundle ``output`` for the chosen hosts, and say what is in it.

    With ``runner``, what ``./inv`` itself takes to run there is in it as well.

    Raises:
        RolecallError: something cannot be had; what has come is kept.
        ConfigError: the command line is wrong, or too little is known of a host.
    """
    left_out = {name.strip() for name in without.split(",") if name.strip()}
    lock = (project.root / "requirements.lock").read_text() if runner else ""
    wanted = [_wanted(project, name, all_, asked, lock) for name, all_ in _settings(project, flags)]
    _check_left_out(left_out, wanted)
    with Folder.opened(output) as folder:
        for path in folder.damaged:
            print(f"{path} is not what it was when it was added: fetching it anew", flush=True)
        for each in wanted:
            _collect(folder, project, each, left_out)
        folder.tidy()
        size = sum(known["size"] for known in folder.files.values())
        print(f"{output}: {len(folder.files)} files, {_amount(size)}, all verified")


def _settings(project: Project, flags: Flags) -> list[tuple[str, dict[str, Settings]]]:
    return [
        (name, {role: value.settings for role, value in resolved.items()})
        for name, resolved in project.resolved(flags).items()
    ]


def _wanted(
    project: Project, name: str, settings: dict[str, Settings], asked: Asked, lock: str
) -> Wanted:
    runner = settings["rolecall"]
    assert isinstance(runner, RunnerSettings)
    known = project.facts_cache().load(name, runner.home)
    machine, facts = described(name, asked, known)
    host = Host(name, facts, settings)
    needs = tuple(
        replace(need, release=machine.python) if isinstance(need, Wheels) else need
        for need in all_needs(host)
    )
    if lock:
        own = Wheels("runner", lock, machine.python, machine.arch, _NO_PYTHON_YET)
        needs = (*needs, own)
    return Wanted(host, machine, needs)


def _check_left_out(names: set[str], wanted: list[Wanted]) -> None:
    locks = {need.name for each in wanted for need in each.needs if isinstance(need, Wheels)}
    for name in sorted(names - {*KINDS, *locks}):
        known = [*KINDS, *sorted(locks)]
        raise ConfigError(f"--without {name}: there is no such thing", nearest(name, known))


def _is_left_out(need: Need, names: set[str]) -> bool:
    return need.kind in names or (isinstance(need, Wheels) and need.name in names)


def _collect(folder: Folder, project: Project, wanted: Wanted, left_out: set[str]) -> None:
    machine = wanted.machine
    about: dict[str, Any] = {
        "python": machine.python,
        "arch": machine.arch,
        "glibc": "{}.{}".format(*machine.glibc),
        "release": machine.release,
    }
    needed: list[str] = []
    for need in wanted.needs:
        if _is_left_out(need, left_out):
            print(f"{need.what}: left out", flush=True)
            if need.key in folder.pieces:
                needed.append(need.key)  # of an earlier run: it may have cost much
            continue
        needed.append(need.key)
        if need.key in folder.pieces:
            print(f"{need.what}: there already", flush=True)
            continue
        print(f"{need.what} …", flush=True)
        before = set(folder.files)
        files = _bring(folder, need, project, wanted)
        folder.finish_piece(need.key, need.what, files)
        _say(folder, files, before)
    folder.hosts[wanted.host.name] = {**about, "needs": needed}
    folder.save()


def _say(folder: Folder, files: list[str], before: set[str]) -> None:
    size = sum(folder.files[path]["size"] for path in files)
    new = len(set(files) - before)
    print(f"  {len(files)} files, {_amount(size)}; {new} of them are new", flush=True)


def _bring(folder: Folder, need: Need, project: Project, wanted: Wanted) -> list[str]:
    settings: Mapping[str, Settings] = wanted.host.all_settings
    if isinstance(need, Wheels | Wheel):
        if isinstance(need, Wheels):
            wheels.check(need, wanted.machine)
        return wheels.collect(folder, need, wanted.machine, Pip.here(project.state))
    if isinstance(need, Fetched):
        return models.collect(folder, need, project, settings)
    if isinstance(need, Checkout):
        return checkouts.collect(folder, need)
    own = wanted.host.settings(Bundle)
    if isinstance(need, DebianPackages):
        return debian.collect(folder, need, own.apt_sources)
    assert isinstance(need, Image)
    return images.collect(folder, need, own.client)


def _amount(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.1f} MiB"
