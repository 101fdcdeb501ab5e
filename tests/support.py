"""What tests share beyond :mod:`rolecall.testing`: other shells, and undoing a creation."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rolecall.resource import Resource
from rolecall.testing import (
    HOST,
    ROLE,
    KillableTarget,
    Result,
    assert_contract,
    begun,
    converge,
    converge_killed,
    settled,
    tree_digest,
)

__all__ = [
    "HOST",
    "ROLE",
    "SHELLS",
    "KillableTarget",
    "Result",
    "assert_contract",
    "begun",
    "converge",
    "converge_killed",
    "destroy",
    "find_shell",
    "settled",
    "tree_digest",
]

#: The shells that Rolecall's host side has to run on.
SHELLS = ("dash", "bash", "busybox")


def destroy(resource: Resource, home: Path) -> None:
    """Run the removal that the last creation of ``resource`` left in the journal."""
    removal = None
    for line in (home / "journal").read_text(errors="surrogateescape").splitlines():
        record = json.loads(line)
        if record["id"] == resource.id and record.get("removal"):
            removal = record["removal"]
    assert removal is not None, f"no removal of {resource.id} in the journal"
    script = f"set -e\n{removal['script']}\n{removal['gone']}"
    subprocess.run(["/bin/sh", "-c", script], check=True)


def find_shell(name: str, folder: Path) -> str:
    """The path of a shell; skips the test, by name, where it is not installed.

    ``busybox`` gives a host that has nothing but busybox: its shell and its applets.
    """
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    if name != "busybox":
        return found
    applets = folder / "busybox"
    if not applets.exists():
        applets.mkdir(parents=True)
        listed = os.popen(f"{found} --list").read().split()
        for applet in listed:
            (applets / applet).symlink_to(found)
    wrapper = folder / "busybox-sh"
    wrapper.write_text(f"#!/bin/sh\nPATH={applets}\nexport PATH\nexec {found} sh\n")
    wrapper.chmod(0o755)
    return str(wrapper)
