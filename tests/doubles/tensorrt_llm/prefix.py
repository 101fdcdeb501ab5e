"""Lays the doubles out: an installed runtime, and git repositories of the examples."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent

_PYTHON = """#!/bin/sh
PYTHONPATH={site} PYTHONDONTWRITEBYTECODE=1 exec {python} "$@"
"""


@dataclass(frozen=True)
class Prefix:
    """An installed runtime: ``bin`` belongs in front of the PATH."""

    path: Path
    version: str

    @property
    def bin(self) -> Path:
        """Its programs: python3, trtllm-build and tritonserver."""
        return self.path / "bin"

    def fail(self, **ends: str) -> None:
        """Make tools (convert, quantize, build) end as told; without any, none does."""
        (self.path / "fail.json").write_text(json.dumps(ends))


def install(path: Path, version: str) -> Prefix:
    """A runtime with the doubles of TensorRT-LLM ``version``."""
    site = path / "site"
    package = site / "tensorrt_llm"
    package.mkdir(parents=True)
    for name in ("interface.py", "tool.py"):
        shutil.copy(_HERE / name, package / name)
    (package / "__init__.py").write_text(f"__version__ = {version!r}\nPREFIX = {str(path)!r}\n")
    info = site / f"tensorrt_llm-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: tensorrt_llm\nVersion: {version}\n"
    )
    bin_ = path / "bin"
    bin_.mkdir()
    python = _PYTHON.format(site=site, python=sys.executable)
    programs = {
        "python3": python,
        "trtllm-build": f'#!/bin/sh\nexec {bin_}/python3 -m tensorrt_llm.build_command "$@"\n',
        "tritonserver": "#!/bin/sh\necho 'a double: it serves nothing' >&2\nexit 1\n",
    }
    (package / "build_command.py").write_text("from tensorrt_llm.tool import build\n\nbuild()\n")
    for name, text in programs.items():
        (bin_ / name).write_text(text)
        (bin_ / name).chmod(0o755)
    return Prefix(path, version)


def git_repository(path: Path, files: Mapping[str, str]) -> str:
    """A git repository with ``files`` in one commit; returns the commit."""
    path.mkdir(parents=True)
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    git = ["git", "-C", str(path), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "--all", "--force"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "files"], check=True)
    subprocess.run([*git, "config", "uploadpack.allowAnySHA1InWant", "true"], check=True)
    found = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return found.stdout.strip()


def examples(version: str) -> dict[str, str]:
    """The examples of TensorRT-LLM, where that version keeps them."""
    folder = "examples/models/core" if version == "1.2.1" else "examples"
    program = "from tensorrt_llm.tool import {name}\n\n{name}({arguments})\n"
    return {
        f"{folder}/llama/convert_checkpoint.py": program.format(name="convert", arguments=""),
        f"{folder}/qwen/convert_checkpoint.py": program.format(name="convert", arguments="'qwen'"),
        "examples/quantization/quantize.py": program.format(name="quantize", arguments=""),
    }


#: Ends of the doubles, and how Rolecall explains each.
ENDS_BY_MEANING = {
    "gpu_memory": "the GPU's memory is too small",
    "engine_memory": "the GPU's memory is too small",
    "worker_killed": "the host ran out of memory",
    "architecture": "this TensorRT-LLM has no code for this GPU's architecture",
    "old_gpu": "this TensorRT-LLM has no code for this GPU's architecture",
    "no_cuda": "the runtime sees no GPU and no CUDA driver",
    "driver": "the host's NVIDIA driver is too old",
    "disk": "the disk is full",
    "data_set": "the data set to calibrate with could not be had",
}


def ends() -> dict[str, str]:
    """What the tools say at each of their ends; read from the double itself, which is no import."""
    found: dict[str, str] = {}
    for node in ast.parse((_HERE / "tool.py").read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "ENDS":
            found = ast.literal_eval(node.value)
    return found
