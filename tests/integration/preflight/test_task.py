"""``./inv preflight``: the table, for several hosts, as text and as JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.doubles.nvidia_smi import Gpu, Machine
from tests.integration.deployed import Completed, run_inv
from tests.integration.preflight.rig import MODERN, Rig
from tests.support import tree_digest


@pytest.fixture
def inventory(tmp_path: Path, rig: Rig, home: Path) -> Path:
    """Two hosts that are this machine: gpu-a, and gpu-b with other settings and no card yet."""
    folder = tmp_path / "inventory"
    (folder / "group_vars").mkdir(parents=True)
    (folder / "host_vars").mkdir()
    hosts = {name: {"ansible_connection": "local"} for name in ("gpu-a", "gpu-b")}
    write(folder / "hosts.yaml", {"all": {"children": {"gpu": {"hosts": hosts}}}})
    write(folder / "group_vars" / "gpu.yaml", rig.settings)
    other = {"rolecall": {"home": f"{home}-b"}}
    write(folder / "host_vars" / "gpu-b.yaml", other)
    return folder


def write(path: Path, data: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(data))


def preflight(inventory: Path, *args: str, hosts: str = "gpu-a") -> Completed:
    done = run_inv("preflight", "--hosts", hosts, "--inventory", str(inventory), *args)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def test_the_table_has_every_figure_and_fits_80_columns(rig: Rig, inventory: Path) -> None:
    rig.run(Machine(MODERN, "13.1"))
    done = preflight(inventory)
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    for said in (
        "gpu-a file:///",
        "1 x NVIDIA H100 80GB HBM3, 81559 MiB",
        f"{MODERN}; Triton 26.06",
        "weights 12.55 GiB 6.74 billion parameters, float16",
        "KV cache 4.00 GiB 4 sequences of 2048 tokens",
        "512.0 KiB a token in float16",
        "activations 1.50 GiB an estimate",
        "sum 19.11 GiB of 75.67 GiB that count, of 79.65 GiB",
        "checkpoint 12.55 GiB and engine 12.75 GiB;",
    ):
        assert said in text, said
    assert max(len(line) for line in done.stdout.splitlines()[1:]) <= 80


def test_what_does_not_fit_ends_with_1_and_says_what_would(rig: Rig, inventory: Path) -> None:
    small = Machine(MODERN, "13.1", (Gpu("NVIDIA RTX A4000", "12288", "8.6"),))
    rig.run(small)
    done = preflight(inventory)
    assert done.returncode == 1
    assert "does not fit" in done.stdout.splitlines()[0]
    assert "It would do with:" in done.stdout
    assert "engine.tensorrt_llm.quantization=int8: tight, 13.09 GiB of 11.40 GiB" in done.stdout


def test_json_has_one_line_a_host(rig: Rig, inventory: Path) -> None:
    rig.run(Machine(MODERN, "13.1"))
    done = preflight(inventory, "--json", "--no-fetch", hosts="gpu")
    known, unknown = [json.loads(line) for line in done.stdout.splitlines()]
    assert (known["event"], known["host"], known["recipe"]) == ("preflight", "gpu-a", "engine")
    assert known["bytes_per_gpu"]["kv_token"] == 524_288
    assert known["parameters"] == 6_738_415_616
    assert {check["title"] for check in known["checks"]} >= {"GPUs", "GPU memory", "host memory"}
    assert (unknown["host"], unknown["verdict"], unknown["bytes_per_gpu"]) == (
        "gpu-b",
        "unknown",
        {},
    )
    assert done.returncode == 0


def test_no_fetch_writes_nothing(rig: Rig, inventory: Path, home: Path) -> None:
    Machine(MODERN, "13.1").install(Path(os.environ["PATH"].split(":")[0]))
    before = tree_digest(home)
    done = preflight(inventory, "--no-fetch", hosts="gpu")
    assert "its card is not on the host" in done.stdout
    assert tree_digest(home) == before and not Path(f"{home}-b").exists()


def test_a_host_that_is_not_reached_hides_no_other(
    rig: Rig, inventory: Path, tmp_path: Path
) -> None:
    rig.run(Machine(MODERN, "13.1"))
    lost = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    known_hosts = tmp_path / "known_hosts"
    known_hosts.touch()
    write(inventory / "host_vars" / "gpu-b.yaml", lost)
    hosts = {"gpu-a": {"ansible_connection": "local"}, "gpu-b": {}}
    write(inventory / "hosts.yaml", {"all": {"children": {"gpu": {"hosts": hosts}}}})
    done = preflight(inventory, "--no-fetch", hosts="gpu")
    assert done.returncode == 1
    assert "gpu-a  file:///" in done.stdout and "gpu-b: " in done.stdout


def test_a_deployment_without_a_gpu_says_so() -> None:
    done = run_inv("preflight", "--no-fetch")
    assert done.returncode == 0
    assert "(no GPU is used)" in done.stdout
