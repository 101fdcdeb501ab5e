"""A base image that stands in for NVIDIA's: doubles of what it has, and its habits.

The habits: an entrypoint of its own, which runs the command; TensorRT-LLM in the system's Python;
``NVIDIA_TRITON_SERVER_VERSION``; and a ``PIP_CONSTRAINT`` that pins what others need newer (its
PyTorch images have /etc/pip/constraint.txt).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.doubles.nvidia_smi import Machine
from tests.doubles.tensorrt_llm.prefix import install
from tests.rig.containers import Engine

NAME = "localhost/rolecall-test-triton:1"
VERSION = "1.2.1"

#: Stands in for tritonserver and mpirun: says what it was started with, and ends as told.
PROGRAM = '#!/bin/sh\nprintf "%s\\n" "${0##*/}" "$@"\nexit 7\n'

_FILES = {
    "opt/tritonserver/bin/tritonserver": PROGRAM,
    "usr/local/bin/trtllm-build": ('#!/bin/sh\nexec python3 -m tensorrt_llm.build_command "$@"\n'),
    "opt/nvidia/nvidia_entrypoint.sh": '#!/bin/sh\necho "the base greets" >&2\nexec "$@"\n',
    "etc/pip/constraint.txt": "pyyaml==0.1\nnumpy==0.1\n",
}

_DOCKERFILE = """\
FROM {base}
COPY files/ /
ENV NVIDIA_TRITON_SERVER_VERSION=26.06 PIP_CONSTRAINT=/etc/pip/constraint.txt
ENTRYPOINT ["/opt/nvidia/nvidia_entrypoint.sh"]
"""


def build(podman: Engine, base: str, folder: Path) -> str:
    """Build it and return its name; ``base`` is Debian 12 with Python."""
    files = folder / "files"
    for path, text in _FILES.items():
        (files / path).parent.mkdir(parents=True, exist_ok=True)
        (files / path).write_text(text)
        (files / path).chmod(0o755)
    packages = files / "usr/local/lib/python3.11/dist-packages"
    made = install(folder / "runtime", VERSION)
    shutil.copytree(made.path / "site", packages)
    init = packages / "tensorrt_llm/__init__.py"
    init.write_text(init.read_text().replace(str(made.path), "/usr/local"))
    smi = Machine(driver="590.44.01", cuda="13.1").install(files / "usr/local/bin") / "nvidia-smi"
    smi.write_text(f"#!/usr/bin/python3 -I\n{smi.read_text().partition(chr(10))[2]}")
    (folder / "Dockerfile").write_text(_DOCKERFILE.format(base=base))
    podman("build", "--format=docker", "--network=none", f"--tag={NAME}", str(folder))
    return NAME
