"""The checks of a GPU host, with a double of nvidia-smi first on the PATH."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.doubles.nvidia_smi import DRIVER_NOT_LOADED, Gpu, Machine
from tests.integration.deployed import run_inv
from tests.integration.verify.verified import Verified, plainly

CHECK = "preflight::gpus_and_driver_are_as_needed"

GROUP = {
    "python": {"lock": "none"},
    "runtime": {"kind": "container", "triton": "26.06"},
    "model": {"source": "hf://org/name@0123456789012345678901234567890123456789"},
    "engine": {"kind": "tensorrt_llm", "tensorrt_llm": {"tp_size": 2}},
    "repo": {"kind": "upstream"},
}


def verified(folder: Path, machine: Machine, status: int) -> Verified:
    """The checks of role preflight, on a machine with these GPUs."""
    host = {"ansible_connection": "local", "rolecall": {"home": str(folder / "home")}}
    inventory = folder / "hosts.json"
    inventory.write_text(json.dumps({"gpu_host": {"hosts": {"gpu-1": {**host, **GROUP}}}}))
    path = f"{machine.install(folder / 'bin')}:{os.environ['PATH']}"
    junit = folder / "verify.xml"
    done = run_inv(
        *("verify", "--hosts", "gpu-1", "--inventory", str(inventory), "--tags", "preflight"),
        *("--junit", str(junit)),
        env={"PATH": path},
    )
    assert done.returncode == status, done.stdout + done.stderr
    return Verified.read(junit, "gpu-1")


def test_a_host_with_the_gpus_that_are_needed(tmp_path: Path) -> None:
    machine = Machine("590.48.01", "13.1", (Gpu(), Gpu()))
    assert CHECK in verified(tmp_path, machine, 0).passed


@pytest.mark.parametrize(
    ("machine", "told"),
    [
        (Machine("590.48.01", "13.1", (Gpu(),)), "2"),
        (Machine("470.82.01", "11.4", (Gpu(), Gpu())), "NVIDIA driver: 470.82.01 is too old"),
        (Machine(gpus=(), fails=DRIVER_NOT_LOADED, status=9), "couldn't communicate"),
    ],
)
def test_a_host_without_them_is_told(tmp_path: Path, machine: Machine, told: str) -> None:
    said = verified(tmp_path, machine, 1).only(CHECK)[CHECK]
    assert told in said, said
    plainly(said)
