"""Python environments of the tools, each with exactly the packages of its lock file."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: Lock files, as ``uv pip compile --universal --generate-hashes`` writes them.
LOCKS = {
    "rolecall": ROOT / "requirements.lock",
    "ansible": ROOT / "tests" / "oracle" / "requirements.txt",
    "pyinfra": Path(__file__).with_name("pyinfra.txt"),
    "bundlewrap": Path(__file__).with_name("bundlewrap.txt"),
    "plot": ROOT / "roles" / "bench" / "plot.txt",
}

#: The oldest Python on which a lock file resolves.
NEEDS = {"ansible": (3, 11), "plot": (3, 11)}


class NotInstalled(Exception):  # noqa: N818 - a state, not an error
    """A peer cannot be measured on this machine; the message says why."""


def environment(name: str) -> Path:
    """The folder of an environment of that name, made on first use.

    The copy of the lock file inside is written last: an environment without it is unfinished.

    Raises:
        NotInstalled: this Python is too old, or the packages cannot be had.
    """
    needs = NEEDS.get(name, (3, 10))
    if sys.version_info < needs:
        raise NotInstalled(f"it needs Python {needs[0]}.{needs[1]} or newer")
    folder = ROOT / ".rolecall" / "benchmark" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        marker = folder / "requirements.lock"
        if not marker.exists() or marker.read_text() != LOCKS[name].read_text():
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder, LOCKS[name])
            shutil.copyfile(LOCKS[name], marker)
    return folder


def version(folder: Path, package: str) -> str:
    """The version of a package in an environment."""
    ask = f"import importlib.metadata as m; print(m.version({package!r}))"
    command = [str(folder / "bin" / "python"), "-c", ask]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _make(folder: Path, lock: Path) -> None:
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input"]
    options = ["--disable-pip-version-check", "--require-hashes", "-r", str(lock)]
    for command in ([sys.executable, "-m", "venv", str(folder)], [*pip, *options]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=900)
        if done.returncode != 0:
            shutil.rmtree(folder, ignore_errors=True)
            said = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
            raise NotInstalled(f"it cannot be installed: {said[-1]}")
