"""Where the Kubernetes programs of the tests are."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rig.kubernetes import build

#: A folder with programs of the user's choice; what envtest's set-up puts there is enough.
ASSETS = "KUBEBUILDER_ASSETS"

#: What a server needs; the rest of :data:`tests.rig.kubernetes.build.PROGRAMS` comes on demand.
SERVER = ("etcd", "kube-apiserver", "kubectl")


@dataclass(frozen=True)
class Programs:
    """The programs of one folder."""

    folder: Path

    def __call__(self, name: str) -> str:
        """The path of a program; skips, naming it, where it is not to be had.

        What a folder lacks comes from what was built, if that is of the same version.
        """
        place = self.folder / name
        if place.exists():
            return str(place)
        built = build.cached()
        if built and built != self.folder and Programs(built).version() == self.version():
            return Programs(built)(name)
        pytest.skip(f"{self.folder} has no {name}")

    def version(self) -> str:
        """Of the API server, without its last part, such as ``v1.34``."""
        asked = [str(self.folder / "kube-apiserver"), "--version"]
        said = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True).stdout
        return said.split()[-1].rpartition(".")[0]


def find() -> Programs:
    """The programs: a given folder's, else those built earlier, else built now; or skips."""
    if given := os.environ.get(ASSETS):
        lacking = [name for name in SERVER if not Path(given, name).exists()]
        if lacking:
            pytest.skip(f"{ASSETS}={given} has no {', '.join(lacking)}")
        return Programs(Path(given))
    if built := build.cached():
        return Programs(built)
    try:
        return Programs(build.build(_say))
    except build.CannotBuildError as error:
        pytest.skip(f"no Kubernetes: {ASSETS} is not set, nothing is built, and {error}")


def _say(line: str) -> None:
    # Past pytest's capture: somebody waits for minutes.
    print(line, file=sys.__stderr__, flush=True)
