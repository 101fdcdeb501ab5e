"""Manifests as files, one for each object, for those who apply them by other means."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from rolecall.api import ConfigError
from rolecall.cluster.objects import Object
from roles.k8s.manifests import Manifests

#: The first line of every file of ours. Only what begins so is ever replaced or removed.
HEADER = "# Made by ./inv k8s --render: it is written anew by the next, and removed when unwanted."


def render(made: Manifests, folder: Path) -> Iterator[str]:
    """Bring the files of ``folder`` to what ``made`` says; tells what was done, line by line.

    A Secret is not written: a note in its place says which keys it has, and how to make it.

    Raises:
        ConfigError: the folder cannot be written, or a file of somebody else's is in the way.
    """
    wanted = rendered(made)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in wanted:
            _refuse_foreign(folder / name)
        for name, text in wanted.items():
            yield _written(folder / name, text)
        for path in sorted(folder.iterdir()):
            if path.name not in wanted and _is_ours(path):
                path.unlink()
                yield f"removed  {path}"
    except OSError as error:
        raise ConfigError(
            f"{error.filename or folder} cannot be written: {error.strerror}",
            "name another directory with --render",
        ) from error


def rendered(made: Manifests) -> dict[str, str]:
    """The files by name: objects in the order in which they are wanted, and a kustomization."""
    files: dict[str, str] = {}
    listed: list[str] = []
    for number, manifest in enumerate(made.all(), 1):
        kind, name = manifest["kind"].lower(), manifest["metadata"]["name"]
        stem = f"{number:02d}-{kind}-{name}"
        if manifest["kind"] == "Secret":
            files[f"{stem}.txt"] = _note(manifest)
            continue
        files[f"{stem}.yaml"] = f"{HEADER}\n{_yaml(manifest)}"
        listed.append(f"{stem}.yaml")
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": listed,
    }
    files["kustomization.yaml"] = f"{HEADER}\n{_yaml(kustomization)}"
    return files


def _note(secret: Object) -> str:
    """What stands in place of a Secret."""
    metadata = secret["metadata"]
    inside = f" -n {metadata['namespace']}" if "namespace" in metadata else ""
    name, keys = metadata["name"], sorted(secret["data"])
    if secret["type"] == "kubernetes.io/dockerconfigjson":
        command = (
            f"kubectl create secret generic {name}{inside} "
            "--type=kubernetes.io/dockerconfigjson --from-file=.dockerconfigjson=FILE"
        )
    else:
        given = " ".join(f"--from-file={key}=FILE" for key in keys)
        command = f"kubectl create secret generic {name}{inside} {given}"
    return (
        f"{HEADER}\n"
        f"The pods need the Secret {name}, of type {secret['type']}. Its values are not written\n"
        "to files. ./inv deploy makes it; by hand, with each value in a file that you alone can\n"
        "read and that has no line end behind it:\n"
        f"\n    {command}\n"
    )


def _written(path: Path, text: str) -> str:
    data = text.encode()
    if path.is_file() and path.read_bytes() == data:
        return f"ok       {path}"
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        beside.write_bytes(data)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    return f"changed  {path}"


def _refuse_foreign(path: Path) -> None:
    if path.exists() and not _is_ours(path):
        raise ConfigError(
            f"{path} is there, and it is not of an earlier --render",
            "move it away, or name another directory",
        )


def _is_ours(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.readline().rstrip(b"\n") == HEADER.encode()


class _Dumper(yaml.SafeDumper):
    """SafeDumper with texts of several lines as blocks, and without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out."""
        return True


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _block)


def _yaml(data: Any) -> str:
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=100)
