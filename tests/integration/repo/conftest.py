"""The program that makes repositories, run as on a host."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.tensorrt_llm import repositories
from tests.rig import tools
from tests.rig.tiny_model import files

FILL = Path(__file__).parents[3] / "roles" / "repo" / "fill" / "fill.py"

#: What roles/repo would derive and give where nobody says otherwise.
DEFAULTS = {
    "triton_max_batch_size": 64,
    "decoupled_mode": True,
    "batching_strategy": "inflight_fused_batching",
    "max_queue_delay_microseconds": 600,
    "max_queue_size": 0,
    "preprocessing_instance_count": 1,
    "postprocessing_instance_count": 1,
    "bls_instance_count": 1,
    "triton_backend": "tensorrtllm",
    "tokenizer_type": "auto",
    "logits_datatype": "TYPE_FP32",
    "encoder_input_features_data_type": "TYPE_FP16",
    "prompt_embedding_table_data_type": "TYPE_FP16",
}


@dataclass(frozen=True)
class Filled:
    """How a run went, and where its result is."""

    status: int
    output: str
    out: Path

    def config(self, model: str) -> str:
        """The text of a model's config.pbtxt."""
        return (self.out / "models" / model / "config.pbtxt").read_text()

    @property
    def description(self) -> dict[str, Any]:
        """repository.json."""
        found: dict[str, Any] = json.loads((self.out / "repository.json").read_text())
        return found


Fill = Callable[..., Filled]


@pytest.fixture(scope="session")
def tools_python() -> Path:
    """The Python of the tools' environment."""
    return tools.environment() / "bin/python"


@pytest.fixture
def fill(tmp_path: Path, tools_python: Path) -> Fill:
    """Fill the templates of a version; ``given`` and ``build`` as in fill.py."""
    model, engine = tmp_path / "model", tmp_path / "engine"
    for folder in (model, engine):
        folder.mkdir()
    for name, data in files().items():
        (model / name).write_bytes(data)

    def run(
        version: str,
        given: Mapping[str, Any] | None = None,
        *,
        build: Mapping[str, Any] | None = None,
        exactly: bool = False,
        change: Callable[[Path], None] | None = None,
    ) -> Filled:
        source = tmp_path / "source"
        for name, text in repositories.templates(version, "").items():
            path = source / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if change:
            change(source)
        limits = {"max_batch_size": 64, "max_beam_width": 1, "max_seq_len": 2048, **(build or {})}
        (engine / "config.json").write_text(json.dumps({"build_config": limits}))
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        out.mkdir()
        asked = {
            "given": dict(given or {}),
            "derived": {"engine_dir": str(engine), "tokenizer_dir": str(model)},
            "defaults": DEFAULTS,
            "exactly": exactly,
        }
        before = snapshot(source)
        done = subprocess.run(
            [
                *(str(tools_python), "-B", str(FILL), "upstream", "--source", str(source)),
                *("--output", str(out), "--parameters", json.dumps(asked)),
                *("--engine", str(engine), "--tokenizer", str(model)),
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert snapshot(source) == before, "the templates were changed in place"
        assert not done.stderr, done.stderr
        return Filled(done.returncode, done.stdout, out)

    return run


def snapshot(folder: Path) -> dict[str, str]:
    """The text of every file."""
    return {str(path): path.read_text() for path in folder.rglob("*") if path.is_file()}
