"""Which versions are in a pod that serves, and whether they are those of settings and engine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rolecall.api import Host
from roles.engine.settings import Engine
from roles.k8s.pod_inventory import ENVIRONMENTS
from roles.python.role import lock_text
from roles.python.settings import Python
from roles.runtime import matrix
from roles.runtime.settings import Runtime

#: The package that builds and runs an engine, by ``engine.kind``, as Python's metadata names it.
_BUILDERS = {"openvino": "openvino_genai", "vllm": "vllm", "tensorrt_llm": "tensorrt_llm"}

#: A package that a lock pins for every platform.
_PINNED = r"^([\w.-]+)==([^\s;]+)(?! *;)"

# The repository is named by Triton's own command line, the engine by the model that runs it.
_ENGINE = r"""
repository=$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' |
  sed -n 's/^--model-\(repository\|store\)=//p' | head -n 1)
engine=$(tr '\n' ' ' <"$repository/tensorrt_llm/config.pbtxt" 2>/dev/null | sed -n \
  's/.*"gpt_model_path" *value *:* *{ *string_value *: *"\([^"]*\)".*/\1/p')
cat -- "$engine/config.json" 2>/dev/null || echo '{}'
"""

# The variables are those of NVIDIA's images (build.py of triton-inference-server/server).
_IMAGE = f"""
printf 'release %s\\n' "$NVIDIA_TRITON_SERVER_VERSION"
printf 'triton %s\\n' "$TRITON_SERVER_VERSION"
for place in {ENVIRONMENTS}/*/lib/python3*/site-packages /usr/local/lib/python3*/*-packages; do
  for package in "$place"/*.dist-info; do
    [ ! -d "$package" ] || printf 'package %s %s\\n' "$place" "${{package##*/}}"
  done
done
"""


@dataclass(frozen=True)
class Versions:
    """What is in a pod.

    Attributes:
        engine: what the served engine says that it was built by; empty where it says nothing.
        release: of NVIDIA's image, such as 26.06; empty in others.
        triton: of the server, as that image says.
        packages: Python packages by folder, and in each by name.
    """

    engine: str = ""
    release: str = ""
    triton: str = ""
    packages: Mapping[str, Mapping[str, str]] | None = None

    @classmethod
    def of(cls, host: Any) -> Versions:
        """Those of the pod in which testinfra's ``host`` runs commands."""
        config = json.loads(host.check_output(_ENGINE))
        said = {"engine": str(config.get("version", ""))}
        packages: dict[str, dict[str, str]] = {}
        for line in host.check_output(_IMAGE).splitlines():
            kind, _, rest = line.partition(" ")
            if kind != "package":
                said[kind] = rest
                continue
            place, _, info = rest.rpartition(" ")
            name, _, version = info.removesuffix(".dist-info").partition("-")
            packages.setdefault(place, {})[_plain(name)] = version
        return cls(**said, packages=packages)

    def version(self, package: str, below: str = "") -> str:
        """That of a package in the first place that has it; empty where it is not there."""
        found = [
            known[package]
            for place, known in (self.packages or {}).items()
            if package in known and place.startswith(below)
        ]
        return found[0] if found else ""


def disagreements(found: Versions, host: Host, answers: str) -> Iterator[str]:
    """What is another version than it should be, a line each.

    ``answers`` is the version that the server itself tells.
    """
    if found.triton and found.triton != answers:
        yield f"  Triton {answers} answers, and the image has {found.triton}"
    runtime, kind = host.settings(Runtime), host.settings(Engine).kind
    if runtime.kind == "environment":
        yield from _locked(found, host)
    elif runtime.triton != "auto" and not runtime.image:
        row = matrix.row(runtime.triton)
        library = found.version("tensorrt_llm")
        if found.release and found.release != row.triton:
            yield f"  the image is Triton {found.release}, and runtime.triton is {row.triton}"
        if library and library != row.tensorrt_llm:
            yield (
                f"  the image has TensorRT-LLM {library}, and Triton {row.triton} has "
                f"{row.tensorrt_llm}"
            )
    if builder := _BUILDERS.get(kind):
        there = found.version(builder)
        if found.engine and there and found.engine != there:
            yield f"  the engine was built by {builder} {found.engine}, and the image has {there}"


def _locked(found: Versions, host: Host) -> Iterator[str]:
    """What of the serving environment is not as its lock says."""
    settings = host.settings(Python)
    folder = f"{ENVIRONMENTS}/{settings.lock}/"
    for name, wanted in re.findall(_PINNED, lock_text(settings), re.MULTILINE):
        there = found.version(_plain(name), folder)
        if there != wanted:
            yield f"  the image has {name} {there or 'not at all'}, and the lock says {wanted}"


def _plain(name: str) -> str:
    """A package's name as its metadata's folder has it (Python packaging, normalised names)."""
    return re.sub(r"[-_.]+", "_", name).lower()
