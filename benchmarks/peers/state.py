"""The desired state that every tool brings, and the digest that tells whether it did."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

#: What every templated file is rendered from; each tool gets it as a file of its own project.
TEMPLATE = """\
# {{ instance }}: one of several instances
[service]
name = {{ instance }}
port = {{ listen }}
address = 127.0.0.1:{{ listen }}
"""


@dataclass(frozen=True)
class Wanted:
    """A desired state as plain data; all paths are relative to the root of the tree.

    Attributes:
        directories: ``path`` and ``mode``.
        files: ``path``, ``mode`` and ``content``.
        templates: ``path``, ``mode``, and the template's variables ``instance`` and ``listen``.
        links: ``path`` and ``target``.
    """

    directories: tuple[dict[str, Any], ...]
    files: tuple[dict[str, Any], ...]
    templates: tuple[dict[str, Any], ...]
    links: tuple[dict[str, Any], ...]

    @property
    def data(self) -> dict[str, list[dict[str, Any]]]:
        """All of it, as lists."""
        return {name: list(items) for name, items in asdict(self).items()}


def wanted(size: int) -> Wanted:
    """A state of ``size`` resources: of ten, one directory, one link, two templates, six files."""
    tenth = size // 10
    directories = [{"path": f"d{i:03}", "mode": "750"} for i in range(tenth)]
    templates = [
        {
            "path": f"d{i % tenth:03}/unit{i:03}.conf",
            "mode": "640",
            "instance": f"n{i}",
            "listen": 7000 + i,
        }
        for i in range(2 * tenth)
    ]
    links = [{"path": f"link{i:03}", "target": f"d{i:03}"} for i in range(tenth)]
    files = [
        {"path": f"d{i % tenth:03}/file{i:03}.conf", "mode": "644", "content": _content(i)}
        for i in range(size - 4 * tenth)
    ]
    return Wanted(tuple(directories), tuple(files), tuple(templates), tuple(links))


def _content(number: int) -> str:
    return "".join(f"option.{number}.{line} = value {line * number}\n" for line in range(12))


def digest(root: Path) -> str:
    """The digest of a tree: names, types, modes, contents and targets, not owner or times."""
    total = hashlib.sha256()
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted([*folders, *files]):
            path = Path(folder, name)
            status = path.lstat()
            kind = stat.S_IFMT(status.st_mode)
            what = f"{kind:o} {path.relative_to(root)}"
            if path.is_symlink():
                what += f" -> {path.readlink()}"
            else:
                what += f" {stat.S_IMODE(status.st_mode):o}"
                if path.is_file():
                    what += f" {hashlib.sha256(path.read_bytes()).hexdigest()}"
            total.update(f"{what}\n".encode())
    return total.hexdigest()
