#!/usr/bin/env python3
"""A double of nvidia-smi: it stands in for the real one on a machine without an NVIDIA driver.

It reads what to say from ``nvidia_smi.json`` beside it (see :class:`Machine`), and accepts
exactly the questions that Rolecall puts; whatever else it is asked it refuses as the real one
does. Where its words come from:

- the fields of ``--query-gpu``: ``nvidia-smi --help-query-gpu`` of driver 470.182.03 (without
  ``compute_cap``: huggingface/candle issue 733) and 535 (netdata/netdata issue 15755)
- ``Field "x" is not a valid field to query.`` on standard output, status 2:
  CoHDI/composable-resource-operator issue 37
- ``[N/A]`` for a GB10's memory: docs.nvidia.com/dgx/dgx-spark/known-issues.html, and
  unslothai/unsloth pull request 10703
- the head of ``-q -d compute``: NVIDIA/GenerativeAIExamples, its requirements (535.129.03); with
  the remarks of 610.47: Jaded-Encoding-Thaumaturgy/vs-jetpack issue 295
- ``-L`` with MIG instances: NVIDIA's MIG User Guide, "Getting Started with MIG"
- statuses: nvidia-smi(1), "RETURN VALUE": 9 the driver is not loaded, 6 no device, 15 lost GPU
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

#: The fields of ``--query-gpu`` that Rolecall asks for, and the first driver that has each.
FIELDS = {
    "index": 304,
    "name": 304,
    "memory.total": 304,
    "memory.free": 304,
    "driver_version": 304,
    "pci.bus_id": 304,
    "uuid": 304,
    "mig.mode.current": 450,
    "compute_cap": 510,
}

DRIVER_NOT_LOADED = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure "
    "that the latest NVIDIA driver is installed and running.\n\n"
)
MISMATCH = (
    "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 535.129\n"
)
NO_DEVICES = "No devices were found\n"
LOST = (
    "Unable to determine the device handle for GPU 0000:02:00.0: GPU is lost.  Reboot the system "
    "to recover this GPU\n\n"
)


@dataclass(frozen=True)
class Gpu:
    """One GPU, in the words of nvidia-smi's CSV; ``slices`` are its MIG instances."""

    name: str = "NVIDIA H100 80GB HBM3"
    memory: str = "81559"
    capability: str = "9.0"
    mig: str = "Disabled"
    slices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Machine:
    """What the double says.

    Attributes:
        fails: printed after the rows, with ``status``.
        hangs: seconds that it sleeps before it says anything, deaf to SIGTERM.
    """

    driver: str = "535.129.03"
    cuda: str = "12.2"
    gpus: tuple[Gpu, ...] = field(default_factory=lambda: (Gpu(),))
    fails: str = ""
    status: int = 0
    hangs: float = 0.0

    def install(self, folder: Path) -> Path:
        """Put an ``nvidia-smi`` that says this into ``folder``, to go first on a PATH."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "nvidia_smi.json").write_text(json.dumps(asdict(self)))
        program = folder / "nvidia-smi"
        program.write_text(
            f"#!{sys.executable} -I\n{Path(__file__).read_text().partition(chr(10))[2]}"
        )
        program.chmod(0o755)
        return folder


def _main(arguments: list[str]) -> int:
    said = json.loads((Path(__file__).parent / "nvidia_smi.json").read_text())
    if said["hangs"]:
        import signal

        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(said["hangs"])
    if said["fails"] and not said["gpus"]:
        sys.stdout.write(said["fails"])
        return int(said["status"])
    release = int(said["driver"].split(".")[0])
    match arguments:
        case [query, "--format=csv,noheader,nounits"] if query.startswith("--query-gpu="):
            status = _rows(said, release, query.partition("=")[2].split(","))
        case ["-q", "-d", "COMPUTE"]:
            status = _log(said, release)
        case ["-L"]:
            status = _list(said)
        case _:
            print("Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.\n")
            return 1
    sys.stdout.write(said["fails"])
    return status or int(said["status"])


def _rows(said: dict, release: int, fields: list[str]) -> int:
    for name in fields:
        if name not in FIELDS or FIELDS[name] > release:
            print(f'Field "{name}" is not a valid field to query.\n')
            return 2
    for index, gpu in enumerate(said["gpus"]):
        values = {
            "index": str(index),
            "name": gpu["name"],
            "memory.total": gpu["memory"],
            "memory.free": gpu["memory"],
            "driver_version": said["driver"],
            "pci.bus_id": f"00000000:{index + 1:02X}:00.0",
            "uuid": f"GPU-0000000{index}-aaaa-bbbb-cccc-0123456789ab",
            "mig.mode.current": gpu["mig"],
            "compute_cap": gpu["capability"],
        }
        print(", ".join(values[name] for name in fields))
    return 0


def _log(said: dict, release: int) -> int:
    umd = release >= 610

    def line(name: str, value: str, instead: str = "") -> None:
        remark = f" [Deprecated; will be removed in CUDA 14.0. Use {instead} instead]"
        print(f"{name:<{54 if umd else 41}} : {value}{remark if umd and instead else ''}")

    print("\n==============NVSMI LOG==============\n")
    line("Timestamp", time.strftime("%a %b %d %H:%M:%S %Y"))
    line("Driver Version", said["driver"], "KMD Version")
    line("CUDA Version", said["cuda"], "CUDA UMD Version")
    if umd:
        line("KMD Version", said["driver"])
        line("CUDA UMD Version", said["cuda"])
    print()
    line("Attached GPUs", str(len(said["gpus"])))
    for index in range(len(said["gpus"])):
        print(f"GPU 00000000:{index + 1:02X}:00.0")
        line("    Compute Mode", "Default")
        print()
    return 0


def _list(said: dict) -> int:
    for index, gpu in enumerate(said["gpus"]):
        print(f"GPU {index}: {gpu['name']} (UUID: GPU-0000000{index}-aaaa-bbbb-cccc-0123456789ab)")
        for number, name in enumerate(gpu["slices"]):
            print(f"  MIG {name:<11} Device {number:>2}: (UUID: MIG-{index}{number}-aaaa-bbbb)")
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
