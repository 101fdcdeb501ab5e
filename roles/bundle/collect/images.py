"""Container images as archives, where a container engine is at hand."""

from __future__ import annotations

import shutil
import subprocess

from rolecall.errors import RolecallError
from roles.bundle.collect.folder import Folder
from roles.bundle.needs import Image
from roles.bundle.places import image_file

#: A registry's names of machines.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def collect(folder: Folder, need: Image, client: str = "") -> list[str]:
    """Have the image in the folder: pulled unless the engine has it, and saved.

    Raises:
        RolecallError: there is no engine, or it cannot have the image.
    """
    if "@" in need.reference:
        raise RolecallError(
            f"{need.what} cannot be collected: an archive forgets the digest of an image",
            "name it by a tag in runtime.image, or leave it out: --without images",
        )
    path = image_file(need.reference, need.arch)
    if path in folder.files:
        return [path]
    names = [client] if client else ["docker", "podman"]
    engine = next((name for name in names if shutil.which(name)), "")
    if not engine:
        raise RolecallError(
            f"{need.what} cannot be collected: there is no {' and no '.join(names)} here",
            "run this where one is (bundle.client), or leave images out where the host has it: "
            "--without images",
        )
    there = _run(engine, "image", "inspect", "--format", "{{.Architecture}}", need.reference)
    architecture = _ARCHITECTURES.get(need.arch, need.arch)
    if there.stdout.strip() != architecture:
        _must(need, engine, "pull", "--platform", f"linux/{architecture}", need.reference)
    new = folder.staging("image") / "archive.tar"
    _must(need, engine, "save", "--output", str(new), need.reference)
    return [folder.add(new, path, need.reference)]


def _must(need: Image, *command: str) -> None:
    done = _run(*command)
    if done.returncode:
        raise RolecallError(
            f"{need.what} cannot be had: {(done.stderr or done.stdout).strip()[-500:]}",
            f"try: {' '.join(command)}; or leave images out where the host has it: "
            "--without images",
        )


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
