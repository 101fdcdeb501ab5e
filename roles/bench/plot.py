"""A picture of results, drawn by matplotlib in an environment that is made on demand."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rolecall.errors import ConfigError

#: The program that draws.
DRAW = Path(__file__).with_name("draw.py")
_LOCK = Path(__file__).with_name("plot.txt")

#: The oldest Python on which the lock file resolves.
_NEEDS = (3, 11)


def check(target: str) -> None:
    """Raises ``ConfigError`` where the name is not that of a picture, or has no folder."""
    if not target:
        return
    path = Path(target).expanduser()
    if path.suffix not in (".svg", ".png"):
        raise ConfigError(f"--plot {target!r} ends neither in .svg nor in .png")
    if not path.parent.is_dir():
        raise ConfigError(f"--plot {target!r}: there is no folder {path.parent}", "make it first")


def plot(state: Path, results: Sequence[Path], target: str) -> str:
    """Draw; returns why that was not possible, or nothing.

    A load test is not lost for the sake of its picture: whatever goes wrong is only told.
    """
    if sys.version_info < _NEEDS:
        return f"it needs Python {_NEEDS[0]}.{_NEEDS[1]} or newer"
    folder = state / "environments" / "plot"
    if why := _make(folder):
        return why
    python = str(folder / "bin" / "python")
    command = [python, str(DRAW), str(Path(target).expanduser()), *map(str, results)]
    done = subprocess.run(command, capture_output=True, text=True)
    return _last(done) if done.returncode else ""


def _make(folder: Path) -> str:
    """Make the environment, once; the copy of its lock file is written last."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        marker = folder / "requirements.lock"
        if marker.exists() and marker.read_text() == _LOCK.read_text():
            return ""
        shutil.rmtree(folder, ignore_errors=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input"]
        options = ["--disable-pip-version-check", "--require-hashes", "-r", str(_LOCK)]
        for command in ([sys.executable, "-m", "venv", str(folder)], [*pip, *options]):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                shutil.rmtree(folder, ignore_errors=True)
                return f"matplotlib cannot be installed: {_last(done)}"
        shutil.copyfile(_LOCK, marker)
    return ""


def _last(done: subprocess.CompletedProcess[str]) -> str:
    said = (done.stderr or done.stdout).strip().splitlines()
    return said[-1] if said else "no reason is given"
