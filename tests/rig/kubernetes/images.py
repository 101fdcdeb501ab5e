"""Images without a registry: an archive of one static program, in the form that Docker saves."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping
from pathlib import Path

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def archive(
    place: Path, program: Path, names: list[str], files: Mapping[str, bytes] | None = None
) -> Path:
    """An image whose whole content is ``program`` as /pod, which it runs as user 65534.

    Args:
        place: the archive to write, which ``ctr images import`` and ``podman load`` read.
        program: linked statically.
        names: of the image, with tags.
        files: what else is in it, by path without the first slash.
    """
    layer = _tar({"pod": program.read_bytes(), **(files or {})})
    digest = hashlib.sha256(layer).hexdigest()
    config = {
        "architecture": _MACHINES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Entrypoint": ["/pod"], "User": "65534:65534"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": names, "Layers": [f"{digest}.tar"]}]
    files = {
        f"{digest}.tar": layer,
        "config.json": json.dumps(config).encode(),
        "manifest.json": json.dumps(manifest).encode(),
    }
    place.write_bytes(_tar(files))
    return place


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
