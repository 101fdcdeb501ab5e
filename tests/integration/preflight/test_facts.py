"""The facts of a GPU host, as nvidia-smi (a double of it) tells them."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

import rolecall
from rolecall.facts import Facts, script
from rolecall.loop.scripts import dialect
from rolecall.resource import Observed
from roles.preflight.role import FACTS
from tests.doubles import nvidia_smi
from tests.doubles.nvidia_smi import Gpu, Machine

_PRELUDE = Path(rolecall.__file__).parent / "loop" / "prelude.sh"


def facts(machine: Machine | None, folder: Path, shell: str, limit: int = 0) -> dict[str, str]:
    """What a host with such an nvidia-smi (None: with none) says, but for its /dev/shm."""
    path = str(machine.install(folder / "bin")) if machine else str(folder)
    text = f"rc_limit={limit or ''}\n{FACTS}"
    asked = (
        f"{dialect('@@', str(folder), 'run', 'who', is_root=True).opening()}\n"
        f"PATH={path}:$PATH\nrc_main() {{\n{script([text])}\n}}\nrc_main </dev/null\n"
    )
    done = subprocess.run([shell], input=asked, capture_output=True, text=True, timeout=60)
    frames = dict(frame.split("\n", 1) for frame in done.stdout.split("\n@@ ")[1:])
    said = Observed.parse(frames["extra"])
    assert said.noise == (), said.noise
    found = dict(Facts.parse(Observed.parse(frames["facts"]), said).extra)
    for name in ("shm_mib", "memory_limit_mib"):
        found.pop(name, None)
    return found


def test_a_host_without_nvidia_smi_has_no_gpu(tmp_path: Path, shell: str) -> None:
    assert facts(None, tmp_path, shell) == {"gpu.count": "0"}


def test_the_size_of_dev_shm_is_what_df_says(tmp_path: Path) -> None:
    said = subprocess.run(["df", "-Pk", "/dev/shm"], capture_output=True, text=True).stdout
    if not said.strip().endswith("/dev/shm"):
        pytest.skip("/dev/shm is not a file system of its own here")
    text = f"{_PRELUDE.read_text()}\n{FACTS}"
    done = subprocess.run(["sh"], input=text, capture_output=True, text=True)
    assert f"shm_mib={int(said.splitlines()[1].split()[1]) // 1024}" in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("memory.max", "1073741824", ["memory_limit_mib=1024"]),
        ("memory/memory.limit_in_bytes", "536870912", ["memory_limit_mib=512"]),
        ("memory.max", "max", []),
        ("memory/memory.limit_in_bytes", "9223372036854771712", []),
        ("none", "", []),
    ],
)
def test_the_limit_of_a_container_is_told(
    tmp_path: Path, shell: str, file: str, text: str, said: list[str]
) -> None:
    path = tmp_path / "cgroup" / file
    path.parent.mkdir(parents=True)
    path.write_text(f"{text}\n")
    asked = f"rc_cgroup={tmp_path}/cgroup\n{_PRELUDE.read_text()}\n{FACTS}"
    done = subprocess.run([shell], input=asked, capture_output=True, text=True, timeout=30)
    lines = [line for line in done.stdout.splitlines() if line.startswith("memory_limit")]
    assert (lines, done.stderr) == (said, "")


def test_one_gpu(tmp_path: Path, shell: str) -> None:
    assert facts(Machine(), tmp_path, shell) == {
        "gpu.0.name": "NVIDIA H100 80GB HBM3",
        "gpu.0.memory_mib": "81559",
        "gpu.0.compute_capability": "9.0",
        "gpu.names": "NVIDIA H100 80GB HBM3",
        "gpu.driver": "535.129.03",
        "gpu.compute_capability": "9.0",
        "gpu.cuda": "12.2",
        "gpu.memory_mib": "81559",
        "gpu.count": "1",
    }


def test_of_several_gpus_the_smallest_and_the_oldest_counts(tmp_path: Path, shell: str) -> None:
    gpus = (
        Gpu("NVIDIA GeForce RTX 5090", "32607", "12.0", "[N/A]"),
        Gpu("NVIDIA GeForce RTX 4090", "24564", "8.9", "[N/A]"),
        Gpu("NVIDIA GeForce RTX 4090", "24564", "8.9", "[N/A]"),
    )
    said = facts(Machine("580.95.05", "13.0", gpus), tmp_path, shell)
    assert said["gpu.count"] == "3"
    assert said["gpu.names"] == "NVIDIA GeForce RTX 5090, NVIDIA GeForce RTX 4090"
    assert (said["gpu.memory_mib"], said["gpu.compute_capability"]) == ("24564", "8.9")
    assert (said["gpu.0.compute_capability"], said["gpu.2.name"]) == ("12.0", gpus[2].name)
    assert "gpu.mig" not in said and "gpu.error" not in said


def test_a_driver_that_cannot_tell_the_compute_capability_tells_the_rest(
    tmp_path: Path, shell: str
) -> None:
    said = facts(
        Machine("470.182.03", "11.4", (Gpu("Tesla V100-SXM2-16GB", "16160"),)), tmp_path, shell
    )
    assert said == {
        "gpu.0.name": "Tesla V100-SXM2-16GB",
        "gpu.0.memory_mib": "16160",
        "gpu.names": "Tesla V100-SXM2-16GB",
        "gpu.driver": "470.182.03",
        "gpu.compute_capability": "",
        "gpu.cuda": "11.4",
        "gpu.memory_mib": "16160",
        "gpu.count": "1",
    }


def test_the_cuda_version_is_read_from_the_new_log_as_well(tmp_path: Path, shell: str) -> None:
    said = facts(Machine("610.43.02", "13.3"), tmp_path, shell)
    assert (said["gpu.driver"], said["gpu.cuda"]) == ("610.43.02", "13.3")


def test_a_gpu_that_shares_the_hosts_memory_has_the_hosts(tmp_path: Path, shell: str) -> None:
    said = facts(
        Machine("580.126.09", "13.0", (Gpu("NVIDIA GB10", "[N/A]", "12.1", "[N/A]"),)),
        tmp_path,
        shell,
    )
    kib = next(
        int(line.split()[1])
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemTotal:")
    )
    assert (said["gpu.memory_mib"], said["gpu.shared_memory"]) == (str(kib // 1024), "yes")


def test_a_value_in_brackets_is_unknown(tmp_path: Path, shell: str) -> None:
    broken = Gpu(memory="[Unknown Error]", capability="[N/A]", mig="[Unknown Error]")
    said = facts(Machine(gpus=(broken,)), tmp_path, shell)
    assert said["gpu.count"] == "1"
    assert (said["gpu.memory_mib"], said["gpu.compute_capability"]) == ("", "")
    assert "gpu.0.memory_mib" not in said


def test_mig_instances_are_named_and_the_smallest_counts(tmp_path: Path, shell: str) -> None:
    sliced = Gpu(
        "NVIDIA A100-SXM4-80GB", "81920", "8.0", "Enabled", ("3g.40gb", "1g.10gb", "1g.10gb+me")
    )
    said = facts(Machine(gpus=(sliced,)), tmp_path, shell)
    assert said["gpu.mig"] == "3g.40gb 1g.10gb 1g.10gb+me"
    assert said["gpu.memory_mib"] == str(10 * 1024 * 95 // 100)
    assert said["gpu.0.memory_mib"] == "81920"


def test_mig_without_instances_leaves_no_memory(tmp_path: Path, shell: str) -> None:
    said = facts(Machine(gpus=(Gpu(mig="Enabled"),)), tmp_path, shell)
    assert (said["gpu.mig"], said["gpu.memory_mib"]) == ("enabled, without instances", "")


@pytest.mark.parametrize(
    ("machine", "error"),
    [
        (
            Machine(gpus=(), fails=nvidia_smi.DRIVER_NOT_LOADED, status=9),
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make "
            "sure that the latest NVIDIA driver is installed and running.",
        ),
        (
            Machine(gpus=(), fails=nvidia_smi.MISMATCH, status=18),
            "Failed to initialize NVML: Driver/library version mismatch",
        ),
        (Machine(gpus=(), fails=nvidia_smi.NO_DEVICES, status=6), "No devices were found"),
        (
            Machine(gpus=(), fails="\n", status=12),
            "nvidia-smi ended with status 12",
        ),
    ],
)
def test_a_driver_in_trouble_is_told(
    tmp_path: Path, shell: str, machine: Machine, error: str
) -> None:
    assert facts(machine, tmp_path, shell) == {"gpu.count": "0", "gpu.error": error}


def test_a_lost_gpu_does_not_hide_the_others(tmp_path: Path, shell: str) -> None:
    said = facts(Machine(fails=nvidia_smi.LOST, status=15), tmp_path, shell)
    assert said["gpu.count"] == "1" and said["gpu.driver"] == "535.129.03"
    assert said["gpu.error"].startswith("Unable to determine the device handle for GPU 0000:02")


def test_an_nvidia_smi_that_hangs_is_given_up(tmp_path: Path, shell: str) -> None:
    began = time.monotonic()
    said = facts(Machine(hangs=8), tmp_path, shell, limit=1)
    assert time.monotonic() - began < 6
    assert said == {"gpu.count": "0", "gpu.error": "nvidia-smi gave no answer within 1 seconds"}
    running = subprocess.run(["pgrep", "-f", f"python.*{tmp_path}"], capture_output=True, text=True)
    assert running.stdout == "", "it was ended"


def test_the_double_refuses_what_the_real_one_refuses(tmp_path: Path) -> None:
    program = Machine().install(tmp_path) / "nvidia-smi"
    for arguments in (["--query-gpu=id", "--format=csv,noheader,nounits"], ["--query"], []):
        done = subprocess.run([program, *arguments], capture_output=True, text=True)
        assert done.returncode in {1, 2}, arguments
