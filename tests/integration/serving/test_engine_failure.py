"""An engine that fails tells the clients it fails, and serves the next ones."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from . import rig
from .rig import Workshop


def test_a_failed_step_fails_its_requests_and_the_next_are_served(workshop: Workshop) -> None:
    program = Path(__file__).with_name("failing_engine.py")
    command = [workshop.python, "-B", program, rig.ASSEMBLE.parent, workshop.engine_dir]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    result = json.loads(done.stdout)
    assert result["answers"][0] == ["internal: the engine failed: made to fail"] * 2
    assert result["answers"][1] == ["20 tokens"] * 2
    assert result["opened"] == 2
    assert "made to fail" in result["errors"][0]
