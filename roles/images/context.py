"""The build context of an image: exactly the files that it needs, and a digest of them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rolecall.api import ConfigError
from roles.images.recipe import Recipe

#: What the image has of the project, besides the inventory of the recipe.
_PROJECT = ("inv", "tasks.py", "requirements.lock", "tools/environment.sh")
_FOLDERS = ("rolecall", "roles", "templates")

#: The kinds of files in these folders that a program reads; documentation stays out.
_SUFFIXES = frozenset({".py", ".sh", ".yaml", ".txt", ".j2"})
_EMPTY_FOLDER = ".gitkeep"

#: Files that are programs to call by name.
_PROGRAMS = frozenset({"inv"})

#: The time of every file: 1 January 2024, since a time may not make two contexts differ.
_TIME = 1704067200


@dataclass(frozen=True)
class File:
    """One file of a context."""

    content: bytes
    executable: bool = False


Context = Mapping[str, File]


def context(root: Path, inventory: Path, recipe: Recipe) -> dict[str, File]:
    """The files for a recipe, by their paths, in the order of those.

    Raises:
        ConfigError: a file that is needed is missing, or is a link to elsewhere.
    """
    own = _cpu if recipe.folder == "cpu" else _gpu
    found = {**dict(_common(root, inventory, recipe)), **dict(own(root, recipe))}
    return {path: found[path] for path in sorted(found)}


def digest(files: Context, recipe: Recipe) -> str:
    """A digest of all that the image is made from: the files, the base and the arguments."""
    listed = {
        path: [file.executable, hashlib.sha256(file.content).hexdigest()]
        for path, file in files.items()
    }
    whole = json.dumps({"files": listed, "arguments": arguments(recipe)}, sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def arguments(recipe: Recipe) -> dict[str, str]:
    """The build arguments of the Dockerfile."""
    packages = {"PACKAGES": recipe.packages} if recipe.folder == "gpu" else {}
    return {"BASE": recipe.base, **packages}


def write(files: Context, folder: Path, wheels: Path | None) -> None:
    """Lay a context out, with the wheels of a directory, if given, in its folder ``wheels``.

    Wheels are no part of the digest: locks say by hash which of them are installed.
    """
    for path, file in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        target.chmod(0o755 if file.executable else 0o644)
        os.utime(target, (_TIME, _TIME))
    beside = folder / "wheels"
    beside.mkdir()
    for wheel in sorted(wheels.glob("*.whl")) if wheels else ():
        _link(wheel, beside / wheel.name)
    for place, _, _ in os.walk(folder):
        Path(place).chmod(0o755)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def _common(root: Path, inventory: Path, recipe: Recipe) -> Iterator[tuple[str, File]]:
    """Rolecall itself, its environments, and the recipe as the inventory's only host."""
    docker = root / "docker"
    yield "Dockerfile", _file(docker / recipe.folder / "Dockerfile")
    for name in ("packages", "environments", "finish"):
        yield f"build/{name}.sh", _file(docker / f"shared/{name}.sh")
    for name in recipe.environments:
        yield f"build/locks/{name}.txt", _file(root / f"roles/python/locks/{name}.txt")
    for name in _PROJECT:
        yield f"project/{name}", _file(root / name)
    for name in _FOLDERS:
        yield from _below(root, name)
    place = "project/inventory"
    hosts = {"ansible_connection": "local"}
    groups = {"children": {recipe.name: {"hosts": {"localhost": hosts}}}}
    yield f"{place}/hosts.yaml", File(json.dumps({"all": groups}, indent=2).encode() + b"\n")
    yield f"{place}/host_vars/localhost.yaml", _file(docker / recipe.folder / "host.yaml")
    for group in ("all", recipe.name):
        for path in _variables(inventory / "group_vars", group):
            yield f"{place}/{path.relative_to(inventory)}", _file(path)


def _cpu(root: Path, _: Recipe) -> Iterator[tuple[str, File]]:
    yield "entrypoint.sh", _file(root / "docker/cpu/entrypoint.sh")


def _gpu(root: Path, recipe: Recipe) -> Iterator[tuple[str, File]]:
    docker = root / "docker/gpu"
    yield "launch_triton_server.py", _file(docker / "launch_triton_server.py")
    yield "build/image_packages.sh", _file(docker / "image_packages.sh")
    if recipe.packages:
        lock = docker / f"locks/{recipe.packages}.txt"
        if not lock.is_file():
            known = ", ".join(sorted(path.stem for path in lock.parent.glob("*.txt")))
            raise ConfigError(
                f"runtime.image_packages: there is no lock {recipe.packages!r}", f"known: {known}"
            )
        yield f"build/packages/{recipe.packages}.txt", _file(lock)


def _below(root: Path, name: str) -> Iterator[tuple[str, File]]:
    for place, folders, names in os.walk(root / name):
        # What is hidden is somebody's own: an editor's, or a secret.
        folders[:] = [one for one in folders if not one.startswith((".", "__pycache__"))]
        for one in names:
            path = Path(place, one)
            wanted = path.suffix in _SUFFIXES and not one.startswith(".")
            if wanted or one == _EMPTY_FOLDER:
                yield f"project/{path.relative_to(root)}", _file(path, root)


def _variables(folder: Path, group: str) -> Iterator[Path]:
    for suffix in ("", ".yml", ".yaml", ".json"):
        path = folder / f"{group}{suffix}"
        if path.is_dir():
            yield from (inside for inside in path.iterdir() if inside.is_file())
            return
        if path.is_file():
            yield path
            return


def _file(path: Path, root: Path | None = None) -> File:
    """A file's content; a link is followed where it stays below ``root``."""
    if path.is_symlink() and not (root and path.resolve().is_relative_to(root.resolve())):
        raise ConfigError(
            f"{path} is a link that leaves the project, and an image takes nothing from elsewhere",
            "put the file itself there",
        )
    with suppress(FileNotFoundError):
        return File(path.read_bytes(), path.name in _PROGRAMS)
    raise ConfigError(
        f"there is no {path}, which an image is built from",
        "run this in a complete copy of the project",
    )
