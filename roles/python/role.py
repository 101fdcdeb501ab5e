"""The serving environment: a virtual environment with pinned, hashed wheels."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from rolecall.api import (
    Directory,
    Host,
    PythonPackages,
    Resource,
    Settings,
    Venv,
    free_space,
    role,
)

_LOCKS = Path(__file__).parent / "locks"

#: MiB that the environment of each lock takes, with the wheels while they are unpacked.
_ROOM = {"cpu": 1200}


class Python(Settings):
    """Settings of the role ``python``."""

    interpreter: str = "python3:python3.12:python3.11:python3.10"
    """The Python to make the environment with: the first of these that is 3.10, 3.11 or 3.12,
    which the pinned wheels are built for. Names on the PATH or absolute paths."""

    lock: Literal["cpu"] = "cpu"
    """Which lock file of roles/python/locks is installed."""


def lock_text(settings: Python) -> str:
    """The lock file: every package pinned, with hashes."""
    return (_LOCKS / f"{settings.lock}.txt").read_text()


def lock_digest(host: Host) -> str:
    """A short digest of the lock file: the tool versions, as an input of artifacts."""
    return hashlib.sha256(lock_text(host.settings(Python)).encode()).hexdigest()[:16]


def environment(host: Host) -> str:
    """The path of the serving environment on ``host``."""
    return host.path("python", host.settings(Python).lock)


def interpreter(host: Host) -> str:
    """The environment's own Python."""
    return f"{environment(host)}/bin/python"


#: Shell text at the start of a build that runs ``$PYTHON``: says so where there is none.
NEEDED = """
[ -x "$PYTHON" ] || {
  echo "error: there is no serving environment: $PYTHON does not exist"
  echo "  next: ./inv deploy makes everything in order, ./inv python the environment alone"
  exit 1
}
"""


@role(Python)
def python(host: Host, settings: Python) -> Iterator[Resource]:
    """Make the serving environment."""
    path = environment(host)
    yield free_space(
        "environment",
        host.facts.state_dir,
        _ROOM[settings.lock],
        unless_exists=f"{path}/pyvenv.cfg",
    )
    yield Directory(host.path("python"))
    yield Venv(path, settings.interpreter, minimum="3.10", below="3.13")
    yield PythonPackages(path, lock_text(settings))
