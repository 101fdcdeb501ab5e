"""A copy of the project that nobody edits while an image is built from it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.integration.cli.project import copy_project
from tests.integration.deployed import ROOT, Completed, run_inv
from tests.rig.containers import Engine


@dataclass(frozen=True)
class Project:
    """The copy, and the engine that its images are built with."""

    folder: Path
    podman: Engine

    @classmethod
    def copy(cls, target: Path, podman: Engine) -> Project:
        copy_project(target)
        shutil.copytree(
            ROOT / "docker", target / "docker", ignore=shutil.ignore_patterns("__pycache__")
        )
        return cls(target, podman)

    def image(self, *args: str, env: Mapping[str, str] | None = None) -> Completed:
        """Run ``./inv image``."""
        client = ("--engine", "podman", "--set", f"runtime.client={self.podman.client}")
        return run_inv(
            "image", *args, *client, env=env, cwd=self.folder, inv=self.folder / "inv", timeout=600
        )

    def built(self, *args: str) -> str:
        """Build an image and return its name."""
        done = self.image("--build", *args)
        assert done.returncode == 0, done.stdout + done.stderr
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("changed ")]
        return line.split()[1]
