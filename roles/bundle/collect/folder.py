"""The directory of a bundle: files that are added whole or not at all, and what says so."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rolecall.errors import RolecallError
from roles.bundle.places import MANIFEST, PIECES, SUMS

#: Where unfinished files lie.
PART = ".part"

_OWN = (MANIFEST, PIECES, SUMS)


def sha256(path: Path) -> str:
    """The digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@dataclass
class Folder:
    """A bundle that grows. What an earlier run added is known, and verified when it is opened.

    Attributes:
        files: for each file its size, digest and where it is from, by path.
        pieces: for each piece, by key, what it is and its files.
        damaged: files that an earlier run had added and that are not what they were.
    """

    root: Path
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    pieces: dict[str, dict[str, Any]] = field(default_factory=dict)
    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)
    _written: str = ""

    @classmethod
    @contextmanager
    def opened(cls, root: Path) -> Iterator[Folder]:
        """Open or make the bundle ``root``, for this process alone.

        Raises:
            RolecallError: it is something else, or another process works on it.
        """
        if root.exists() and not root.is_dir():
            raise RolecallError(f"{root} is not a directory", "give --output another place")
        there = root.is_dir() and any(root.iterdir())
        if there and not ((root / MANIFEST).exists() or (root / PART).exists()):
            raise RolecallError(
                f"{root} has files in it, and none of a bundle",
                "give --output a new directory, or one that ./inv bundle has made",
            )
        part = root / PART
        part.mkdir(parents=True, exist_ok=True)
        with (part / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RolecallError(
                    f"another ./inv bundle works on {root}", "wait for it to end"
                ) from None
            folder = cls(root)
            folder._load()
            folder._adopt_wheels()
            yield folder
            shutil.rmtree(part)

    def _load(self) -> None:
        try:
            self._written = (self.root / MANIFEST).read_text()
            noted = json.loads(self._written)
            files, pieces = dict(noted["files"]), dict(noted["pieces"])
            self.hosts = dict(noted["hosts"])
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError):
            raise RolecallError(
                f"{self.root / MANIFEST} cannot be read as a bundle's manifest",
                "remove it and run this again: what is right in the directory is kept",
            ) from None
        for path, known in files.items():
            place = self.root / path
            if not place.is_file():
                continue
            if place.stat().st_size == known["size"] and sha256(place) == known["sha256"]:
                self.files[path] = known
            else:
                self.damaged.append(path)
                place.unlink()
        self.pieces = {
            key: piece for key, piece in pieces.items() if set(piece["files"]) <= set(self.files)
        }

    def _adopt_wheels(self) -> None:
        """Know the wheels that a run brought which was cut off; locks say which of them count."""
        for place in (self.root / "wheels").glob("*.whl"):
            path = f"wheels/{place.name}"
            if path not in self.files:
                self.adopt(path, "an earlier run", sha256(place))

    def staging(self, name: str) -> Path:
        """An empty directory for what is on its way."""
        place = self.root / PART / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place

    def add(self, new: Path, path: str, source: str, digest: str = "") -> str:
        """Move the finished file ``new`` to ``path``; returns that.

        ``digest`` is its sha256, where that is known already.
        """
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        self.files[path] = {
            "size": new.stat().st_size,
            "sha256": digest or sha256(new),
            "source": source,
        }
        with suppress(OSError):
            new.chmod(0o644)
        os.replace(new, target)
        return path

    def adopt(self, path: str, source: str, digest: str) -> str:
        """Take a file at its place into the list: an earlier run had brought it and was cut off."""
        size = (self.root / path).stat().st_size
        self.files[path] = {"size": size, "sha256": digest, "source": source}
        return path

    def remove(self, path: str) -> None:
        """Take a file away."""
        self.files.pop(path, None)
        (self.root / path).unlink(missing_ok=True)

    def finish_piece(self, key: str, what: str, files: list[str]) -> None:
        """Note that a piece is complete, and save."""
        self.pieces[key] = {"what": what, "files": sorted(files)}
        self.save()

    def save(self) -> None:
        """Write what the bundle consists of: the lists for the host, then the manifest."""
        made: dict[str, Any] = {
            "format": 1,
            "hosts": self.hosts,
            "pieces": dict(sorted(self.pieces.items())),
            "files": dict(sorted(self.files.items())),
        }
        with suppress(ValueError, KeyError):
            before = json.loads(self._written)
            made = {"format": 1, "date": before["date"], **made}
            if made == before and (self.root / SUMS).exists():
                return
        made = {**made, "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        self._written = json.dumps(made, indent=1) + "\n"
        self._write(PIECES, "".join(f"{key}\n" for key in made["pieces"]))
        self._write(MANIFEST, self._written)
        sums = [f"{known['sha256']}  {path}\n" for path, known in made["files"].items()]
        own = [f"{sha256(self.root / name)}  {name}\n" for name in (MANIFEST, PIECES)]
        self._write(SUMS, "".join([*sums, *own]))

    def _write(self, name: str, text: str) -> None:
        new = self.root / PART / name
        new.write_text(text)
        os.replace(new, self.root / name)

    def tidy(self) -> None:
        """Remove what no host needs: an older version of a package, a download cut off."""
        needed = {key for host in self.hosts.values() for key in host["needs"]}
        self.pieces = {key: piece for key, piece in self.pieces.items() if key in needed}
        held = {path for piece in self.pieces.values() for path in piece["files"]}
        for path in [path for path in self.files if path not in held]:
            self.remove(path)
        for place in sorted(self.root.rglob("*"), reverse=True):
            path = place.relative_to(self.root).as_posix()
            if path.split("/")[0] == PART or path in held or path in _OWN:
                continue
            if place.is_dir() and not place.is_symlink():
                with suppress(OSError):
                    place.rmdir()
            else:
                place.unlink()
        self.save()
