"""Copies of the project, to spoil or to give away, without its environment and its records."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.integration.deployed import ROOT

_PARTS = ("inv", "tasks.py", "rolecall", "roles", "inventory", "templates", "tools")


def copy_project(target: Path, *, environment: bool = True) -> Path:
    """Copy what ``./inv`` needs; with ``environment``, the copy uses the project's own .venv."""
    target.mkdir()
    for name in (*_PARTS, "requirements.lock"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target / name)
    if environment:
        (target / ".venv").symlink_to(ROOT / ".venv")
    return target


def as_user(uid: int, command: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a user who is in no other group and has no sudo."""
    become = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--no-new-privs"]
    keep = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    path = "/usr/local/bin:/usr/bin:/bin"
    return subprocess.run(
        [*become, *command],
        cwd="/",
        env={**keep, "HOME": str(home), "PATH": path, "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
