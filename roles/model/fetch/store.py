"""Where files gather until all are there: what has come is kept, and nothing is fetched twice."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from errors import FetchError
from integrity import Digests, differs, digests
from listing import File
from source import partial


class Store:
    """The directory ``keep``, which outlives a fetch that fails, and the damaged version ``old``.

    What was verified is noted with size and time, so that an interrupted fetch need not read
    it again.
    """

    def __init__(self, keep: Path, old: Path | None) -> None:
        self.files = keep / "files"
        self._old = old
        self._noted = keep / "verified.json"
        self._verified: dict[str, list[str | int]] = {}
        self.files.mkdir(parents=True, exist_ok=True)
        try:
            self._verified = dict(json.loads(self._noted.read_text()))
        except (OSError, ValueError, TypeError):
            self._verified = {}

    def path(self, file: File) -> Path:
        """Where ``file`` gathers."""
        target = self.files / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def arrived(self, file: File) -> int:
        """How many bytes of it are there, finished or not."""
        target = self.files / file.path
        for path in (target, partial(target)):
            with suppress(OSError):  # renamed meanwhile
                return path.stat().st_size
        return 0

    def have(self, file: File) -> bool:
        """Whether it is there and verified; what the old version still has right is taken over."""
        target = self.path(file)
        if self._known(file, target):
            return True
        if target.is_file() and not target.is_symlink() and not self.verify(file):
            return True
        old = self._old / file.path if self._old else None
        if old is None or old.is_symlink() or not old.is_file() or old.stat().st_size != file.size:
            return False
        if not (file.sha256 or file.blob):
            return False  # nothing says whether it is still right
        found = digests(old, file.size, blob=bool(file.blob))
        if differs(found, file):
            return False
        target.unlink(missing_ok=True)
        partial(target).unlink(missing_ok=True)
        link_or_copy(old, target)
        self._note(file, target, found)
        return True

    def verify(self, file: File) -> str:
        """Compare what has arrived with ``file``; returns what is wrong with it."""
        target = self.path(file)
        size = target.stat().st_size
        if size != file.size:
            return f"it has {size} bytes, not {file.size}"
        found = digests(target, size, blob=bool(file.blob))
        if wrong := differs(found, file):
            return wrong
        self._note(file, target, found)
        return ""

    def described(self, file: File) -> File:
        """``file`` with the sha256 that it has been found to have."""
        return replace(file, sha256=str(self._verified[file.path][2]))

    def _known(self, file: File, target: Path) -> bool:
        """Whether it was verified before, and has not been touched since."""
        noted = self._verified.get(file.path)
        try:
            found = target.stat()
        except OSError:
            return False
        if noted is None or noted[:2] != [found.st_size, found.st_mtime_ns]:
            return False
        return not differs(Digests(str(noted[2]), str(noted[3])), file)

    def _note(self, file: File, target: Path, found: Digests) -> None:
        stat = target.stat()
        self._verified[file.path] = [stat.st_size, stat.st_mtime_ns, found.sha256, found.blob]

    def save(self) -> None:
        """Write down what was verified."""
        new = self._noted.with_name("verified.new")
        new.write_text(json.dumps(self._verified))
        new.replace(self._noted)

    def discard(self, file: File) -> None:
        """Remove it: it is not what was wanted."""
        target = self.path(file)
        target.unlink(missing_ok=True)
        partial(target).unlink(missing_ok=True)
        self._verified.pop(file.path, None)

    def check_space(self, files: tuple[File, ...]) -> None:
        """What is still to come fits on the disk.

        Raises:
            FetchError: it does not.
        """
        need = sum(max(0, file.size - self.arrived(file)) for file in files)
        free = shutil.disk_usage(self.files).free
        if need > free:
            raise FetchError(
                f"{amount(need)} are still to come and {amount(free)} are free in {self.files}",
                "free some space, or set rolecall.home to a directory on a larger disk",
            )


def link_or_copy(source: Path, target: Path) -> None:
    """A second name for ``source``, or a copy where the file system has no links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def link_or_move(source: Path, target: Path) -> None:
    """A second name for ``source``, or a new one where the file system has no links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        source.replace(target)


def amount(size: int) -> str:
    """Bytes for people."""
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.1f} MiB"
