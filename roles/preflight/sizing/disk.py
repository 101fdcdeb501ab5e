"""Whether the disks hold what will be made, file system by file system."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from roles.preflight.sizing.texts import gib


@dataclass(frozen=True)
class Item:
    """Something to be made: its size in bytes, where, and what says that it is there already."""

    what: str
    size: float
    path: str
    unless: str


@dataclass(frozen=True)
class Shortage:
    """A file system that is too small."""

    place: str
    needed: float
    free: float
    what: tuple[str, ...]

    @property
    def text(self) -> str:
        """In one sentence."""
        return (
            f"disk: {self.place} has {gib(self.free)} free, and {gib(self.needed)} are needed for "
            f"{' and '.join(self.what)}"
        )


def shortages(items: list[Item]) -> list[Shortage]:
    """The file systems that cannot hold what is still to be made on them."""
    wanted: dict[int, tuple[Path, list[Item]]] = {}
    for item in items:
        if item.size and not Path(item.unless).exists():
            place = _existing(Path(item.path))
            wanted.setdefault(place.stat().st_dev, (place, []))[1].append(item)
    found = []
    for place, here in wanted.values():
        state = os.statvfs(place)
        free, needed = state.f_bavail * state.f_frsize, sum(item.size for item in here)
        if free < needed:
            found.append(Shortage(str(place), needed, free, tuple(item.what for item in here)))
    return found


def _existing(path: Path) -> Path:
    """The nearest directory above that is there."""
    while not path.is_dir():
        path = path.parent
    return path
