"""The environment of the tools, made once from its lock: the real clients of the model hubs."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_LOCK = ROOT / "roles/python/locks/tools.txt"
_CACHE = ROOT / ".rolecall/test-cache"


def environment() -> Path:
    """A virtual environment with exactly what the lock names; skips where it cannot be had."""
    text = _LOCK.read_bytes() + sys.version.encode()
    place = _CACHE / f"tools-{hashlib.sha256(text).hexdigest()[:16]}"
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "tools.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            _make(place)
            (place / "complete").touch()
    return place


def _make(place: Path) -> None:
    base = (
        Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    )
    subprocess.run([base, "-m", "venv", "--clear", place], check=True, timeout=120)
    pip = [place / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", _LOCK],
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode:
        pytest.skip(f"the wheels of {_LOCK.name} cannot be had: {done.stderr[-300:]}")
