"""The programs of Kubernetes: envtest's where they are given, else built once from source.

No package registry of a language and no Linux distribution has a current kube-apiserver as a
binary, so the Go module in ``binaries`` links every component into one program that looks at the
name it is called by. ``python -m tests.rig.kubernetes.programs`` builds it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "binaries"

#: Kubernetes' release; ``binaries/go.mod`` requires the same.
VERSION = "v1.34.4"

#: What the program may be called.
NAMES = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)

#: The oldest Go that compiles Kubernetes 1.34's dependencies, with room for the next release.
OLDEST_GO = (1, 25)


class MissingError(Exception):
    """There are no programs of Kubernetes here, and why none can be made."""


@dataclass(frozen=True)
class Programs:
    """A folder of Kubernetes' programs.

    Attributes:
        folder: holds them by their usual names; envtest's holds only the first three.
    """

    folder: Path

    def path(self, name: str) -> str:
        """The program ``name``; skips the test where the folder lacks it."""
        place = self.folder / name
        if not os.access(place, os.X_OK):
            pytest.skip(f"{self.folder} has no {name}")
        return str(place)


def find() -> Programs:
    """The programs from KUBEBUILDER_ASSETS, the cache, or a build; skips where none can be."""
    try:
        return ensure()
    except MissingError as error:
        pytest.skip(str(error))


def ensure() -> Programs:
    """The programs, built if need be (seconds to minutes, once for a user and version of Go).

    Raises:
        MissingError: no envtest, no cache, and no Go to build them with.
    """
    if given := os.environ.get("KUBEBUILDER_ASSETS"):
        return Programs(Path(given))
    go, version = _go()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rolecall"
    place = cache / f"kubernetes-{_digest(version)}"
    if not place.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with open(cache / "kubernetes.lock", "w") as lock:
            _wait(lock.fileno())
            if not place.is_dir():
                _build(go, place)
    return Programs(place)


def _go() -> tuple[str, str]:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    if go is None:
        raise MissingError("no Kubernetes: set KUBEBUILDER_ASSETS, or install Go 1.25 or later")
    env = os.environ | {"GOTOOLCHAIN": "local"}
    version = subprocess.run(
        [go, "version"], check=True, capture_output=True, text=True, env=env
    ).stdout.strip()
    number = re.search(r"go(\d+)\.(\d+)", version)
    if not number or tuple(map(int, number.groups())) < OLDEST_GO:
        raise MissingError(f"no Kubernetes: {version} is too old, Go 1.25 or later is needed")
    return go, version


def _digest(version: str) -> str:
    sha = hashlib.sha256(version.encode())
    for name in ("main.go", "go.mod", "go.sum"):
        sha.update((SOURCE / name).read_bytes())
    return sha.hexdigest()[:12]


def _wait(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("waiting for another build of Kubernetes", file=sys.stderr, flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)


def _build(go: str, place: Path) -> None:
    major, minor = VERSION.removeprefix("v").split(".")[:2]
    variables = {"gitVersion": VERSION, "gitMajor": major, "gitMinor": minor}
    flags = " ".join(
        f"-X k8s.io/component-base/version.{key}={value}" for key, value in variables.items()
    )
    beside = Path(tempfile.mkdtemp(prefix="new-", dir=place.parent))
    program = beside / "rolecall-kubernetes"
    started = time.monotonic()
    print(
        f"building Kubernetes {VERSION} for the tests, once: about 5 minutes on two idle cores",
        file=sys.stderr,
        flush=True,
    )
    try:
        done = subprocess.run(
            ["nice", go, "build", "-trimpath", "-ldflags", f"-s -w {flags}", "-o", program, "."],
            cwd=SOURCE,
            env=os.environ
            | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise MissingError(f"no Kubernetes: go build said: {done.stderr.strip()[-300:]}")
        for name in NAMES:
            (beside / name).symlink_to(program.name)
        beside.rename(place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    print(f"built in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def main() -> int:
    """Build what is missing and say where it is."""
    try:
        print(ensure().folder)
    except MissingError as error:
        print(f"{error}; the tests on clusters will skip", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
