"""The Kubernetes programs, built from the Go module beside this file into the user's cache.

    python -m tests.rig.kubernetes.build      # prints the folder that they lie in

No package registry ships a kube-apiserver, the Go module proxy has its source. All checkouts of
a user share what was built: its folder is named by the module's content and the Go that built it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

MODULE = Path(__file__).with_name("go")

#: What the one program can be, by the name that it is called by. Beside it lies ``pod``, which is
#: all that the image of the tests' own pods holds.
PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubectl",
    "kubelet",
)

_ASKING = 60  #: seconds that `go env` is given
_PATIENCE = 3600  #: seconds that a build is given; on two idle cores it takes four minutes


class CannotBuildError(Exception):
    """The programs cannot be built here; the message says what is missing."""


def version() -> str:
    """The Kubernetes version that the module names, such as ``v1.34.4``."""
    found = re.search(r"^\tk8s\.io/kubernetes (v\S+)$", (MODULE / "go.mod").read_text(), re.M)
    assert found, "go.mod requires no k8s.io/kubernetes"
    return found[1]


def cached() -> Path | None:
    """The folder of the programs if they are built, else nothing."""
    try:
        place = _place(_go())
    except CannotBuildError:
        # What an earlier Go built of the same module is as good.
        built = sorted(_cache().glob(f"{_stem()}-*/complete"))
        return built[-1].parent if built else None
    return place if (place / "complete").exists() else None


def build(say: Callable[[str], None]) -> Path:
    """The folder of the programs, built if need be; one process at a time builds.

    Args:
        say: told about the progress, a line at a time.

    Raises:
        CannotBuildError: There is no Go that can, or it failed.
    """
    place = _place(_go())
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / "kubernetes.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            _build(place, say)
    return place


def _build(place: Path, say: Callable[[str], None]) -> None:
    beside = place.with_name(f"{place.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    say(f"building Kubernetes {version()} for the tests (once; about five minutes on two cores)")
    linked = f"-s -w -X k8s.io/component-base/version.gitVersion={version()}"
    command = ["go", "build", "-trimpath", "-mod=readonly", "-ldflags", linked]
    began = time.monotonic()
    with (beside / "build.log").open("w") as log:
        running = subprocess.Popen(
            [*command, "-o", f"{beside}/", ".", "./pod"],
            cwd=MODULE,
            env={**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        done = threading.Event()
        teller = threading.Thread(target=_tell, args=(done, began, say), daemon=True)
        teller.start()
        try:
            status = running.wait(_PATIENCE)
        finally:
            done.set()
            running.kill()
            teller.join()
    if status:
        said = (beside / "build.log").read_text(errors="replace").strip()
        raise CannotBuildError(f"go build of {MODULE.name}/ ended with {status}: {said[-600:]}")
    for name in PROGRAMS:
        (beside / name).symlink_to("kubernetes")
    (beside / "complete").touch()
    shutil.rmtree(place, ignore_errors=True)
    beside.rename(place)
    say(f"built Kubernetes {version()} in {time.monotonic() - began:.0f} s: {place}")


def _tell(done: threading.Event, began: float, say: Callable[[str], None]) -> None:
    while not done.wait(20):
        say(f"  … still building Kubernetes, {time.monotonic() - began:.0f} s")


def _go() -> str:
    """What `go version` says of a Go that is new enough."""
    if shutil.which("go") is None:
        raise CannotBuildError("Go is not installed")
    asked = subprocess.run(
        ["go", "env", "GOVERSION"],
        capture_output=True,
        text=True,
        timeout=_ASKING,
        env={**os.environ, "GOTOOLCHAIN": "local"},
    )
    said = asked.stdout.strip()
    found = re.match(r"go(\d+)\.(\d+)", said)
    if not found or (int(found[1]), int(found[2])) < (1, 25):
        raise CannotBuildError(f"Go 1.25 or newer is not installed (this is {said or 'none'})")
    return said


def _cache() -> Path:
    given = os.environ.get("XDG_CACHE_HOME")
    return (Path(given) if given else Path.home() / ".cache") / "rolecall"


def _stem() -> str:
    digest = hashlib.sha256()
    for name in ("main.go", "pod/main.go", "go.mod", "go.sum"):
        digest.update((MODULE / name).read_bytes())
    return f"kubernetes-{version()}-{digest.hexdigest()[:12]}"


def _place(go: str) -> Path:
    return _cache() / f"{_stem()}-{go}"


def main() -> int:
    """Build, and print where the programs are."""
    try:
        print(build(lambda line: print(line, file=sys.stderr, flush=True)))
    except CannotBuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
