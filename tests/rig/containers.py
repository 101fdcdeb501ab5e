"""A container engine of the tests' own: real Podman, with images and state apart from the host's.

Debian's podman works as root in a machine without much of a cgroup set-up when it is told not to
ask for more than it may have: see ``containers.conf`` below. Nothing is pulled; images are made
from a root file system that mmdebstrap builds once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rig.machines import CACHE, SUITE

#: What the base image has besides Debian's minimum: a Python, and what Pythons link with.
PACKAGES = ("python3", "libpython3.11", "libffi8", "libssl3", "libsqlite3-0", "procps", "curl")

#: The base image's name.
BASE = "localhost/rolecall-test-base:1"

_CONF = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "{runtime}"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


def require() -> None:
    """Skip, by name, where something that containers need is missing."""
    if os.getuid() != 0:
        pytest.skip("running containers needs root")
    for program in ("podman", "mmdebstrap"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    if not (shutil.which("runc") or shutil.which("crun")):
        pytest.skip("neither runc nor crun is installed")


@dataclass(frozen=True)
class Engine:
    """Podman with a store of its own.

    Attributes:
        folder: where everything of it is kept.
    """

    folder: Path

    @property
    def client(self) -> str:
        """The program, to be used like ``podman``."""
        return str(self.folder / "podman")

    def __call__(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the client and return what it said; it has to succeed unless ``check`` is off."""
        done = subprocess.run(
            [self.client, *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
        )
        assert not check or done.returncode == 0, f"podman {' '.join(arguments)}: {done.stderr}"
        return done

    def names(self, *options: str) -> list[str]:
        """The names of the containers that run; with ``-a`` of all."""
        return self("ps", *options, "--format", "{{.Names}}").stdout.split()

    def has(self, image: str) -> bool:
        """Whether an image is there."""
        return self("image", "exists", image, check=False).returncode == 0

    def close(self) -> None:
        """Remove everything."""
        self("rm", "--all", "--force", "--time", "0", check=False)
        self("system", "reset", "--force", check=False)
        for mount in _mounts_below(self.folder):
            subprocess.run(["umount", "-l", mount], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def _mounts_below(folder: Path) -> Sequence[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    places = [line.split()[1] for line in lines]
    return sorted((place for place in places if place.startswith(f"{folder}/")), reverse=True)


def _bridges() -> set[str]:
    """The bridges of Podman's networks, which it leaves behind."""
    links = Path("/sys/class/net").iterdir()
    named = {link.name for link in links if link.name.startswith(("cni-podman", "podman"))}
    return {name for name in named if Path(f"/sys/class/net/{name}/brif").is_dir()}


def base_archive(packages: Sequence[str] = PACKAGES) -> Path:
    """A base image's root file system, built on first use (half a minute)."""
    require()
    key = hashlib.sha256(" ".join((SUITE, *packages)).encode()).hexdigest()[:8]
    place = CACHE / f"image-{SUITE}-{key}.tar"
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "image.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            beside = place.with_name(f"{place.stem}.new.tar")
            command = ["mmdebstrap", "--variant=minbase", f"--include={','.join(packages)}"]
            done = subprocess.run(
                [*command, SUITE, str(beside)],
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
            )
            if done.returncode != 0:
                pytest.skip(f"no image: mmdebstrap said: {done.stderr.strip()[-300:]}")
            beside.rename(place)
    return place


@contextmanager
def engine() -> Iterator[Engine]:
    """An engine with the base image in it; skips where it cannot be."""
    require()
    archive = base_archive()
    folder = Path(tempfile.mkdtemp(prefix="rolecall-podman-"))
    made = Engine(folder)
    runtime = "runc" if shutil.which("runc") else "crun"
    (folder / "containers.conf").write_text(_CONF.format(runtime=runtime))
    places = " ".join(
        f"--{option} {folder / name}"
        for option, name in (("root", "store"), ("runroot", "run"), ("tmpdir", "tmp"))
    )
    Path(made.client).write_text(
        f"#!/bin/sh\nCONTAINERS_CONF={folder}/containers.conf\nexport CONTAINERS_CONF\n"
        f'exec {shutil.which("podman")} {places} "$@"\n'
    )
    Path(made.client).chmod(0o755)
    bridges = _bridges()
    try:
        imported = made("import", str(archive), BASE, check=False)
        if imported.returncode != 0:
            pytest.skip(f"podman cannot import an image here: {imported.stderr.strip()[-300:]}")
        tried = made("run", "--rm", "--network=host", BASE, "true", check=False)
        if tried.returncode != 0:
            pytest.skip(f"podman cannot run a container here: {tried.stderr.strip()[-300:]}")
        yield made
    finally:
        made.close()
        for bridge in _bridges() - bridges:
            if not any(Path(f"/sys/class/net/{bridge}/brif").iterdir()):
                subprocess.run(["ip", "link", "del", bridge], capture_output=True)
