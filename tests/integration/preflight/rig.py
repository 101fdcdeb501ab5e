"""A host with a double of nvidia-smi, and the settings of a deployment on its GPU."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rolecall.testing import Result, converge
from roles.preflight.role import FACTS, preflight
from tests.doubles.nvidia_smi import Machine
from tests.unit.preflight.support import a_host

#: A driver that runs every row of the version matrix.
MODERN = "590.48.01"


class Rig:
    """A host with a GPU, and the settings of a TensorRT engine."""

    def __init__(self, home: Path, model: Path, folder: Path, monkeypatch: Any) -> None:
        self._home, self._folder = home, folder
        self.settings: dict[str, dict[str, Any]] = {
            "rolecall": {"home": str(home)},
            "python": {"lock": "none"},
            "runtime": {"kind": "container", "triton": "26.06"},
            "model": {"source": f"file://{model}", "link": True},
            "engine": {
                "kind": "tensorrt_llm",
                "tensorrt_llm": {"max_batch_size": 4, "max_seq_len": 2048},
            },
        }
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def run(self, machine: Machine, *, check: bool = False) -> Result:
        """Converge the role, or predict it."""
        machine.install(self._folder)
        settings = a_host(self.settings, {}).all_settings
        return converge(
            preflight.resources,
            self._home,
            check,
            facts=[FACTS],
            settings={name: value for name, value in settings.items() if name != "rolecall"},
        )
