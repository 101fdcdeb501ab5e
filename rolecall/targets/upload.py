"""Uploads over SSH: atomic, verified, resumed after a cut, and skipped when nothing differs."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from rolecall.errors import RolecallError
from rolecall.shell import encode, quote


class Carrier(Protocol):
    """What an upload needs of a target: commands, and a command fed with data."""

    name: str

    def execute(self, command: str, data: bytes = b"") -> str:
        """Run ``command`` with ``data`` as its input; return what it printed."""

    def send(self, command: str, read: Callable[[int], bytes]) -> None:
        """Run ``command`` with everything that ``read`` returns as its input."""


# PLACE PART: refuse what cannot be replaced; then the digest of what is there (or -), the bytes
# of an earlier transfer that was cut.
_LOOK = """
if [ -d {place} ]; then echo {place} is a directory; exit 1; fi
if [ ! -d {folder} ]; then echo the directory {folder} does not exist; exit 1; fi
rc_there=-
[ ! -f {place} ] || [ -L {place} ] || rc_there=$(sha256sum <{place})
rc_size=0
[ ! -f {part} ] || rc_size=$(wc -c <{part})
echo "${{rc_there%% *}}" $rc_size
"""

# The owner of what is replaced is kept, which only root can need to restore.
_FINISH = """
set -e
chmod -- {mode} {part}
if [ -f {place} ] && [ ! -L {place} ] && [ "$(id -u)" = 0 ]; then
  chown -- "$(stat -c %u:%g -- {place})" {part}
  chmod -- {mode} {part}
fi
sync -- {part} 2>/dev/null || sync
mv -f -- {part} {place}
sync -- {folder} 2>/dev/null || :
"""


def upload(carrier: Carrier, source: Path, destination: str, mode: str) -> None:
    """Put ``source`` at ``destination`` with octal ``mode``, keeping the owner of what was there.

    The transfer goes beside the destination, under a name that carries the digest of the
    content: the same content finds its own unfinished transfer and goes on behind it.

    Raises:
        RolecallError: it cannot be read here or written there, or arrived damaged.
        UnreachableError: the connection was lost; the same call goes on where it stopped.
    """
    try:
        digest = _digest(source)
    except OSError as error:
        raise RolecallError(f"cannot read {source}: {error.strerror}") from error
    folder = posixpath.dirname(destination)
    # The name of the destination goes in as a digest too: it may be as long as a name can be.
    key = hashlib.sha256(encode(posixpath.basename(destination))).hexdigest()[:8]
    words = {
        "place": quote(destination),
        "folder": quote(folder),
        "part": quote(posixpath.join(folder, f".rolecall-{digest[:24]}-{key}")),
        "mode": quote(mode),
    }
    there, size = carrier.execute(_LOOK.format(**words)).split()
    if there == digest:
        carrier.execute("chmod -- {mode} {place}".format(**words))
        return
    with open(source, "rb") as file:
        file.seek(int(size))
        carrier.send("umask 077; cat >>{part}".format(**words), file.read)
    sent = carrier.execute("sha256sum <{part}".format(**words)).split()[0]
    if sent != digest:
        carrier.execute("rm -f -- {part}".format(**words))
        raise RolecallError(
            f"{destination} on {carrier.name} arrived damaged",
            "run the same command again; it starts from the beginning",
        )
    carrier.execute(_FINISH.format(**words))


def _digest(source: Path) -> str:
    digest = hashlib.sha256()
    with open(source, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
