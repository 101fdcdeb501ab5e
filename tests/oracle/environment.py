"""The oracle's own Python environment, made on first use and kept until its lock file changes."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REQUIREMENTS = Path(__file__).with_name("requirements.txt")

#: What ansible-core of the lock file runs on.
NEEDS = (3, 11)


def ansible_environment() -> Path:
    """The folder of an environment with exactly the packages of the lock file.

    The copy of the lock file inside is written last: an environment without it is unfinished.
    """
    if sys.version_info < NEEDS:
        pytest.skip("the oracle, ansible-core, needs Python 3.11 or newer")
    folder = ROOT / ".rolecall" / "test-cache" / "ansible"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        marker = folder / "requirements.txt"
        if not marker.exists() or marker.read_text() != REQUIREMENTS.read_text():
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder)
            shutil.copyfile(REQUIREMENTS, marker)
    return folder


def _make(folder: Path) -> None:
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input"]
    options = ["--disable-pip-version-check", "--require-hashes", "-r", str(REQUIREMENTS)]
    for command in ([sys.executable, "-m", "venv", str(folder)], [*pip, *options]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            shutil.rmtree(folder, ignore_errors=True)
            said = (done.stderr or done.stdout).strip().splitlines()
            pytest.skip(f"the oracle, ansible-core, cannot be installed: {said[-1:]}")
