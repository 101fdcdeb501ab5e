"""What a host's facts alone decide: GPUs, driver, shared memory, Python, glibc."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rolecall.api import Host
from roles.preflight.sizing.fit import DOES_NOT_FIT, FITS, TIGHT, problems
from roles.preflight.sizing.model import Model
from roles.preflight.sizing.plan import Gpus, Plan
from roles.python.settings import Python
from roles.repo.settings import Repo
from roles.runtime import matrix
from roles.runtime.role import row
from roles.runtime.settings import Runtime

_LOCKS = Path(__file__).parents[1] / "python" / "locks"

#: The oldest glibc that runs the Triton in the environments of locks: nvidia-pytriton 0.7.0.
GLIBC = (2, 35)

#: The oldest Python that runs the sizing on the host.
PYTHON = (3, 8)

#: MiB of /dev/shm: more than Docker's own 64, which is too little for a Python model or two
#: (triton-inference-server/tensorrtllm_backend issue 562); for several GPUs what NCCL asks for
#: (docs.nvidia.com, NCCL, Troubleshooting, "Shared memory": ``--shm-size=1g``).
SHM, SHM_NCCL = 65, 1024

#: GPUs on which CUDA's forward compatibility works: those of data centres (docs.nvidia.com, CUDA
#: Compatibility, "Forward Compatibility"), by the names that nvidia-smi has for them.
_DATA_CENTRE = re.compile(
    r"(NVIDIA|Tesla) (A(2|10G?|16|30|40|100X?|800)|B[123]00|GB[23]00|GH200|H(20|100|200|800)"
    r"|L(2|4|20|40[SG]?)|P(4|6|40|100)|T4G?|V100)\b"
)


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: the verdict, why, and what to do about it."""

    title: str
    verdict: str
    said: str
    hint: str = ""


def checks(host: Host, plan: Plan) -> list[Check]:
    """All that is known without the model."""
    gpus = Gpus.of_facts(host.facts.extra)
    found = [_gpus(host, plan, gpus)]
    if gpus.count:
        found += _driver(host, gpus)
    found += _image(host, plan)
    found += [_shared_memory(host, plan), _python(host)]
    return [*found, *environment_checks(host)]


def memory_mib(host: Host) -> int:
    """The host's memory, or what its container may use of it."""
    limit = host.fact("memory_limit_mib")
    return min(host.facts.memory_mib, int(limit)) if limit.isdigit() else host.facts.memory_mib


def environment_checks(host: Host) -> list[Check]:
    """What the serving environment's wheels need, where Rolecall makes one."""
    if host.settings(Runtime).kind != "environment":
        return []
    name, _, version = host.facts.libc.partition(" ")
    needed = ".".join(map(str, GLIBC))
    if name == "glibc" and _numbers(version) >= GLIBC:
        return [Check("glibc", FITS, f"{version}; Triton's wheel needs {needed}")]
    if not name:
        return [Check("glibc", TIGHT, f"its version is not known; Triton's wheel needs {needed}")]
    return [
        Check(
            "glibc",
            DOES_NOT_FIT,
            f"Triton's wheel needs glibc {needed}; the host has {host.facts.libc}",
            "deploy to a newer release of the operating system, or set runtime.kind to container",
        )
    ]


def _gpus(host: Host, plan: Plan, gpus: Gpus) -> Check:
    if not gpus.count:
        trouble = host.fact("gpu.error") or "there is no nvidia-smi: no NVIDIA driver is installed"
        return Check(
            "GPUs",
            DOES_NOT_FIT,
            trouble,
            "install NVIDIA's driver or repair it until nvidia-smi lists the GPUs, or deploy to "
            "another host; group cpu serves without a GPU",
        )
    have = f"{gpus.count} x {gpus.names}, {gpus.memory_mib or '?'} MiB"
    have += f", MIG {gpus.mig}" if gpus.mig else ""
    have += ", shared with the host" if gpus.shared else ""
    wrong = problems(Model(""), plan, gpus, plan.max_seq_len)
    if wrong:
        return Check("GPUs", DOES_NOT_FIT, "; ".join(wrong), "change the settings it names")
    if host.fact("gpu.error"):
        return Check("GPUs", TIGHT, f"{have}; {host.fact('gpu.error')}")
    if plan.gpus > 1 and ", " in gpus.names:
        return Check("GPUs", TIGHT, f"{have}: they are not of one kind; the smallest counts")
    return Check("GPUs", FITS, have)


def _driver(host: Host, gpus: Gpus) -> list[Check]:
    driver, kind = host.fact("gpu.driver"), host.settings(Runtime).kind
    if not driver:
        return [Check("NVIDIA driver", TIGHT, "its version is not known")]
    if kind == "environment":
        return _cuda(host)
    if kind == "container" and host.settings(Runtime).image:
        image = host.settings(Runtime).image
        return [Check("NVIDIA driver", TIGHT, f"{driver}; what {image} needs is not known")]
    return [driver_check(row(host), driver, gpus.names)]


def _image(host: Host, plan: Plan) -> list[Check]:
    """What Triton's own image of the chosen release can do."""
    settings = host.settings(Runtime)
    if settings.kind != "container" or settings.image:
        return []
    return [image_check(row(host), plan.recipe, host.settings(Repo).kind)]


def image_check(wanted: matrix.Row, recipe: str, repo: str) -> Check:
    """Whether a row of the version matrix serves such a model repository."""
    have = f"Triton {wanted.triton} with TensorRT-LLM {wanted.tensorrt_llm}"
    if recipe == "engine" and not wanted.has_engine_backend:
        return Check(
            "Triton image",
            DOES_NOT_FIT,
            f"{have} has no TensorRT engines any more",
            "set runtime.triton to an older release, or repo.kind to llmapi, engine.kind to none",
        )
    if repo in wanted.defects:
        return Check(
            "Triton image",
            DOES_NOT_FIT,
            f"{have}: {wanted.defects[repo]}",
            "set runtime.triton to auto or another release, or runtime.image to a repaired one",
        )
    return Check("Triton image", FITS, have)


def driver_check(wanted: matrix.Row, driver: str, names: str) -> Check:
    """Whether a driver runs the CUDA of a row of the version matrix."""
    needs = f"Triton {wanted.triton} (CUDA {wanted.cuda}) needs {wanted.driver}"
    if wanted.runs_on(driver):
        return Check("NVIDIA driver", FITS, f"{driver}; {needs}")
    centre = all(_DATA_CENTRE.match(name) for name in names.split(", "))
    for oldest in wanted.forward:
        branch = driver.partition(".")[0] == oldest.partition(".")[0]
        if branch and _numbers(driver) >= _numbers(oldest):
            if centre:
                return Check(
                    "NVIDIA driver",
                    FITS,
                    f"{driver}, by CUDA's forward compatibility; otherwise {needs}",
                )
            needs += f"; forward compatibility from {oldest} is for data-centre GPUs only"
    older = matrix.newest_for(driver)
    way = f"set runtime.triton to {older.triton}, or " if older else ""
    return Check(
        "NVIDIA driver",
        DOES_NOT_FIT,
        f"{driver} is too old: {needs}",
        f"{way}install driver {wanted.driver} or newer",
    )


def _cuda(host: Host) -> list[Check]:
    """The CUDA that the engine's wheels bring; minor versions are compatible.

    CUDA Compatibility, "Minor Version Compatibility": any driver of the same major version does.
    """
    settings = host.settings(Python)
    path = _LOCKS / f"{settings.engine_lock}.txt"
    lock = path.read_text() if path.exists() and not settings.engine_interpreter else ""
    found = re.search(r"^nvidia-cuda-runtime(?:-cu\d+)?==(\d+)\.(\d+)", lock, re.MULTILINE)
    cuda = host.fact("gpu.cuda")
    if not found:
        return []
    needs = f"the wheels bring CUDA {found[1]}.{found[2]}"
    if not cuda:
        return [Check("NVIDIA driver", TIGHT, f"its CUDA version is not known; {needs}")]
    driver = f"{host.fact('gpu.driver')} (CUDA {cuda})"
    if _numbers(cuda)[:1] >= (int(found[1]),):
        return [Check("NVIDIA driver", FITS, f"{driver}; {needs}")]
    return [
        Check(
            "NVIDIA driver",
            DOES_NOT_FIT,
            f"{driver} is too old: {needs}",
            f"install a driver of CUDA {found[1]} or newer",
        )
    ]


def _shared_memory(host: Host, plan: Plan) -> Check:
    settings = host.settings(Runtime)
    wanted = SHM_NCCL if plan.gpus > 1 else SHM
    if settings.kind == "container":
        have, where = mib(settings.shm_size), "the container's, by runtime.shm_size"
        hint = f"set runtime.shm_size to {wanted}m or more"
    else:
        text = host.fact("shm_mib")
        have, where = int(text) if text.isdigit() else 0, "the host's"
        hint = f"mount -o remount,size={wanted}m /dev/shm; in a container, --shm-size"
    said = f"{have} MiB, {where}; {wanted} MiB wanted for {plan.gpus} GPU"
    return Check("/dev/shm", FITS if have >= wanted else TIGHT, said, hint)


def mib(text: str) -> int:
    """A size as container engines write it: ``2g``, ``512m``, a number of bytes."""
    factors = {"b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
    unit = text[-1:].lower()
    number = text[:-1] if unit in factors else text
    return int(number) * factors.get(unit, 1) // 1024**2


def _python(host: Host) -> Check:
    version, needed = host.facts.python_version, ".".join(map(str, PYTHON))
    if host.facts.python_release >= PYTHON:
        return Check("Python", FITS, f"{version}; {needed} needed on the host")
    return Check(
        "Python",
        DOES_NOT_FIT,
        f"Python {needed} is needed on the host to size the model; "
        f"it has {version or 'no python3'}",
        "install python3",
    )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))
