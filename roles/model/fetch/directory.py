"""A directory on the host, or one that several hosts share."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from errors import FetchError, MissingFileError
from listing import COMMIT, File, Listing, checked, load
from source import partial

_BLOB = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")

#: What is no file of the model: other programs' records, and ours.
_NOT_OURS = (".cache", ".git", ".rolecall", "__pycache__")


class Directory:
    """The directory ``folder``; its files are copied, or with ``link`` only linked to."""

    def __init__(self, source: str, folder: Path, *, link: bool) -> None:
        self._source, self._folder, self._link = source, folder, link

    def listing(self) -> Listing:
        """Every file, with the digests that whoever put them there left behind."""
        if not self._folder.is_dir():
            raise FetchError(
                f"{self._folder} is no directory on this host",
                "mount or copy the model there, or correct model.source",
            )
        noted = load(self._folder / "model.json")
        known = {file.path: file for file in noted.files} if noted else {}
        files = tuple(
            known.get(name) or checked(name, self._size(name), *self._digest(name))
            for name in sorted(self._paths())
        )
        return Listing(self._source, noted.commit if noted else "", files)

    def at(self, commit: str) -> None:
        """Nothing: a directory has no commits."""

    def _paths(self) -> list[str]:
        found: list[str] = []
        for folder, folders, names in os.walk(self._folder, onerror=_unreadable):
            folders[:] = [name for name in folders if name not in _NOT_OURS]
            below = Path(folder).relative_to(self._folder)
            found += [(below / name).as_posix() for name in names if name not in _NOT_OURS]
        return found

    def _size(self, path: str) -> int:
        try:
            return (self._folder / path).stat().st_size
        except OSError as error:
            raise FetchError(
                f"{self._folder / path} cannot be read: {error.strerror}",
                "a link may lead nowhere; repair the directory",
            ) from None

    def _digest(self, path: str) -> tuple[str, str]:
        """The sha256 or the git blob that the hub's client noted when it brought the file.

        In its cache a file is a link to ``blobs/DIGEST``; beside a ``local_dir`` it keeps
        ``.cache/huggingface/download/PATH.metadata``: commit, digest, time (huggingface_hub 2.4).
        """
        file = self._folder / path
        note = self._folder / ".cache/huggingface/download" / f"{path}.metadata"
        digest = ""
        if file.is_symlink() and (real := file.resolve()).parent.name == "blobs":
            digest = real.name
        elif note.is_file():
            lines = note.read_text().split()
            with suppress(ValueError):
                if len(lines) == 3 and file.stat().st_mtime - 1 <= float(lines[2]):
                    digest = lines[1]
        if not _BLOB.fullmatch(digest):
            return "", ""
        return ("", digest) if COMMIT.fullmatch(digest) else (digest, "")

    def check(self, file: File) -> None:
        """That it is still there."""
        if not (self._folder / file.path).is_file():
            raise MissingFileError(file.path)

    def fetch(self, file: File, target: Path) -> None:
        """Copy it, without a second copy on the disk where the file system can do that."""
        source = self._folder / file.path
        if self._link:
            self._stay_inside(source)
            target.unlink(missing_ok=True)
            target.symlink_to(source)
            return
        part = partial(target)
        try:
            _copy(source, part)
        except PermissionError:
            raise FetchError(
                f"{source} may not be read by the user that deploys", "give it the right to"
            ) from None
        part.replace(target)

    def _stay_inside(self, source: Path) -> None:
        """A container is shown the directory alone: what leads on from it would not be there."""
        real = source.resolve()
        if not real.is_relative_to(self._folder.resolve()):
            raise FetchError(
                f"{source} leads on to {real}, outside of the directory that is linked to",
                "set model.link to false, so that it is copied",
            )


def _unreadable(error: OSError) -> None:
    raise FetchError(
        f"{error.filename} cannot be read: {error.strerror}",
        "give the user that deploys the right to read it",
    )


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as read, target.open("wb") as write:
        try:
            while os.copy_file_range(read.fileno(), write.fileno(), 1 << 30):
                pass
        except OSError:  # not between these file systems
            read.seek(0)
            write.seek(0)
            write.truncate()
            shutil.copyfileobj(read, write, 4 << 20)
