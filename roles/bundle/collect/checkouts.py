"""Commits of git repositories, each as one pack of everything that it consists of."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from rolecall.errors import RolecallError
from roles.bundle.collect.folder import Folder
from roles.bundle.needs import Checkout
from roles.bundle.places import pack_file


def collect(folder: Folder, need: Checkout) -> list[str]:
    """Have the commit in the folder.

    Raises:
        RolecallError: git is missing, or the repository does not hand the commit out.
    """
    path = pack_file(need.repository, need.commit)
    if path in folder.files:
        return [path]
    staging = folder.staging("git")
    repository = staging / "repository.git"
    _git(None, need, "init", "--quiet", "--bare", "--template=", str(repository))
    alone = ("fetch", "--quiet", "--depth", "1", "--no-tags", need.repository, need.commit)
    if _git(repository, need, *alone, must=False):
        everything = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        _git(repository, need, "fetch", "--quiet", need.repository, *everything)
    listed = repository / "objects.list"
    with listed.open("wb") as names:
        _git(repository, need, "rev-list", "--objects", "--no-walk", need.commit, into=names)
    pack = staging / "pack"
    with listed.open("rb") as names, pack.open("wb") as packed:
        _git(repository, need, "pack-objects", "--quiet", "--stdout", given=names, into=packed)
    return [folder.add(pack, path, f"{need.repository} {need.commit}")]


def _git(
    repository: Path | None,
    need: Checkout,
    *words: str,
    given: object = subprocess.DEVNULL,
    into: object = subprocess.PIPE,
    must: bool = True,
) -> str:
    """Run git; returns what went wrong where that is allowed."""
    where = ["-C", str(repository)] if repository else []
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            ["git", *where, *words],
            stdin=given,  # type: ignore[call-overload]
            stdout=into,
            stderr=subprocess.PIPE,
            env=environment,
        )
    except FileNotFoundError:
        raise RolecallError(
            f"{need.what} cannot be collected: git is not installed here",
            "install it, or leave checkouts out: --without git",
        ) from None
    said = str(done.stderr, "utf-8", "replace").strip()
    if done.returncode and must:
        raise RolecallError(
            f"{need.what} cannot be had: {said[-500:]}",
            "check the address, the network and your access to it; a mirror can be set",
        )
    return said or "failed" if done.returncode else ""
