#!/usr/bin/env python3
"""Fills a backend directory for a tritonserver without a GPU.

Run with the serving environment's python, whose own version decides which stub is taken:

    python assemble.py BACKENDS [--source DIR]

BACKENDS must exist and be empty; the caller renames it into place. In it come to lie Triton's
``python`` backend and ``tensorrtllm``, which is this folder beside a copy of the former's
library. Everything is copied: Triton does not follow a symlink to libtriton_python.so.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import sysconfig
from pathlib import Path

LIBRARY = "libtriton_python.so"
STUB = "triton_python_backend_stub"
UTILS = "triton_python_backend_utils.py"


class AssembleError(Exception):
    """What is needed is not there; the text says what."""


def assemble(site_packages: Path, source: Path, backends: Path) -> None:
    """Copy Triton's files from ``site_packages`` and our backend from ``source``.

    Raises ``AssembleError`` if a file is missing and ``OSError`` if one cannot be written.
    """
    triton = site_packages / "pytriton" / "tritonserver"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    library = triton / "backends" / "python" / LIBRARY
    utils = triton / "backends" / "python" / UTILS
    stub = triton / "python_backend_stubs" / version / STUB
    for needed in (library, utils, stub, source / "model.py", source / "inflight"):
        if not needed.exists():
            raise AssembleError(f"{needed} is missing")
    for name in ("python", "tensorrtllm"):
        folder = backends / name
        folder.mkdir()
        for file in (library, utils, stub):
            shutil.copy(file, folder / file.name)
        (folder / STUB).chmod(0o755)
    target = backends / "tensorrtllm"
    shutil.copy(source / "model.py", target / "model.py")
    shutil.copytree(
        source / "inflight",
        target / "inflight",
        ignore=shutil.ignore_patterns("__pycache__"),
    )


def main() -> int:
    """Run from the command line; the result is the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backends", type=Path, help="an existing, empty directory")
    parser.add_argument(
        "--source",
        type=Path,
        default=Path(__file__).resolve().parent,
        help="where model.py and inflight lie (default: beside this file)",
    )
    options = parser.parse_args()
    try:
        if not options.backends.is_dir() or any(options.backends.iterdir()):
            raise AssembleError(f"{options.backends} is not an empty directory")
        site_packages = Path(sysconfig.get_path("platlib"))
        assemble(site_packages, options.source, options.backends)
    except (AssembleError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
