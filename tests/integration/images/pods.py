"""Containers as a cluster's pods are: what kubelet mounts, and what a restricted pod may do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.rig.containers import Engine

#: A group that a volume belongs to, as fsGroup makes it.
FS_GROUP = 10001

#: Where pods find their inventory.
INVENTORY = "/etc/rolecall/inventory"


def config_map(folder: Path, files: Mapping[str, str]) -> Path:
    """Files as kubelet lays a ConfigMap out: each is a link through ``..data``, itself a link.

    Kubernetes, pkg/volume/util/atomic_writer.go.
    """
    data = folder / "..2026_11_22_00_00_00.1"
    for path, text in files.items():
        (data / path).parent.mkdir(parents=True, exist_ok=True)
        (data / path).write_text(text)
        top = path.partition("/")[0]
        if not (folder / top).is_symlink():
            (folder / top).symlink_to(f"..data/{top}")
    (folder / "..data").symlink_to(data.name)
    return folder


def volume(folder: Path) -> Path:
    """A volume that root owns and the group may write, as fsGroup leaves it."""
    folder.mkdir()
    os.chown(folder, 0, FS_GROUP)
    folder.chmod(0o2775)
    return folder


def contents(folder: Path) -> dict[str, tuple[int, int, str]]:
    """All that is on a volume: size, time of change, where a link leads; to be compared."""
    found: dict[str, tuple[int, int, str]] = {}
    for path in sorted(folder.rglob("*")):
        said = path.lstat()
        leads = str(path.readlink()) if path.is_symlink() else ""
        found[str(path.relative_to(folder))] = (said.st_size, said.st_mtime_ns, leads)
    return found


@dataclass(frozen=True)
class Pods:
    """Pods of one image on one volume, which they see at ``mount``."""

    podman: Engine
    image: str
    volume: Path
    inventory: Path
    options: tuple[str, ...] = ()
    user: int = 4321
    mount: str = "/data"

    def start(self, name: str, *args: str) -> None:
        """Start one: any user, nothing to write but the volume and /tmp, no network."""
        self.podman(
            *("run", "--detach", "--name", name, "--hostname", name, "--network=none"),
            *("--user", f"{self.user}:0", "--group-add", str(FS_GROUP), "--passwd=false"),
            *("--read-only", "--read-only-tmpfs=false", "--tmpfs=/tmp", "--cap-drop=all"),
            *("--security-opt=no-new-privileges", "--volume", f"{self.volume}:{self.mount}"),
            *("--volume", f"{self.inventory}:{INVENTORY}:ro", *self.options, self.image, *args),
        )

    def log(self, name: str) -> str:
        """All that it has said."""
        said = self.podman("logs", name)
        return said.stdout + said.stderr

    def until(self, name: str, reached: Callable[[], bool], seconds: float = 120) -> None:
        """Wait, as long as it has not ended, until something is so."""
        deadline = time.monotonic() + seconds
        while not reached():
            assert self.state(name, "Running") == "true", self.log(name)
            assert time.monotonic() < deadline, self.log(name)
            time.sleep(0.2)

    def until_said(self, name: str, text: str) -> None:
        """Wait until it has said something."""
        self.until(name, lambda: text in self.log(name))

    def until_ready(self, name: str) -> None:
        """Wait until its server is."""
        check = ("healthcheck", "run", name)
        self.until(name, lambda: self.podman(*check, check=False).returncode == 0, 240)

    def ended(self, name: str, seconds: float = 120) -> int:
        """Its exit status, once it has ended."""
        deadline = time.monotonic() + seconds
        while self.state(name, "Running") == "true":
            assert time.monotonic() < deadline, self.log(name)
            time.sleep(0.2)
        return int(self.state(name, "ExitCode"))

    def state(self, name: str, field: str) -> str:
        """A field of its state."""
        return self.podman("inspect", "--format", f"{{{{.State.{field}}}}}", name).stdout.strip()

    def remove(self) -> None:
        """End all that were started on the volume."""
        self.podman("rm", "--all", "--force", "--time", "0")
