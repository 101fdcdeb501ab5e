import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.preflight.rig import Rig
from tests.support import SHELLS, find_shell
from tests.unit.preflight.published import LLAMA_2_7B


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each shell that a host may have."""
    return find_shell(request.param, tmp_path / "shells")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Rolecall's own directory on the host."""
    return tmp_path / "home"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A directory like Llama-2-7b's, whose two weight files are holes."""
    folder = tmp_path / "llama"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA_2_7B))
    index = {}
    for number, size in ((1, 9_976_576_152), (2, 3_500_296_424)):
        name = f"model-0000{number}-of-00002.safetensors"
        (folder / name).touch()
        os.truncate(folder / name, size)
        index[f"layer.{number}"] = name
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    return folder


@pytest.fixture
def tools(home: Path) -> None:
    """The tools' Python, as role python makes it: here, the tests' own."""
    program = home / "python" / "tools" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)


@pytest.fixture
def rig(tmp_path: Path, home: Path, model: Path, tools: None, monkeypatch: Any) -> Rig:
    """A host with a GPU, and the settings of a TensorRT engine."""
    return Rig(home, model, tmp_path / "nvidia", monkeypatch)
