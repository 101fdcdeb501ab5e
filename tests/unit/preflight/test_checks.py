"""What facts and settings alone decide."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall.resources.requirement import Requirement
from roles.preflight.checks import (
    Check,
    checks,
    driver_check,
    environment_checks,
    image_check,
    memory_mib,
    mib,
)
from roles.preflight.deployment import plan
from roles.preflight.role import preflight
from roles.preflight.sizing.plan import Plan
from roles.runtime.matrix import Row, Sources
from tests.unit.preflight.support import ENGINE, FACTS, H100, a_host


def found(
    title: str,
    facts: dict[str, str] | None = None,
    settings: dict[str, Any] | None = None,
    text: str = FACTS,
) -> Check:
    host = a_host({**ENGINE, **(settings or {})}, H100 if facts is None else facts, text)
    wanted = plan(host)
    assert wanted is not None
    return {check.title: check for check in checks(host, wanted)}[title]


def engine(**more: Any) -> dict[str, Any]:
    return {"engine": {"kind": "tensorrt_llm", "tensorrt_llm": more}}


def test_a_host_that_will_do() -> None:
    host = a_host(ENGINE, H100)
    assert {c.title: c.verdict for c in checks(host, plan(host) or Plan())} == dict.fromkeys(
        ("GPUs", "NVIDIA driver", "Triton image", "/dev/shm", "Python"), "fits"
    )


def test_without_a_gpu_the_drivers_own_words_are_told() -> None:
    assert "no nvidia-smi" in found("GPUs", {"gpu.count": "0"}).said
    failed = found("GPUs", {"gpu.count": "0", "gpu.error": "NVIDIA-SMI has failed because …"})
    assert (failed.verdict, failed.said) == ("does not fit", "NVIDIA-SMI has failed because …")
    assert "group cpu" in failed.hint


@pytest.mark.parametrize(
    ("settings", "facts", "said"),
    [
        (
            engine(tp_size=2, pp_size=2),
            {"gpu.count": "2"},
            "engine.tensorrt_llm.tp_size x engine.tensorrt_llm.pp_size = 4 GPUs are asked for; "
            "there are 2 GPUs",
        ),
        (
            engine(dtype="bfloat16"),
            {"gpu.compute_capability": "7.5"},
            "engine.tensorrt_llm.dtype: bfloat16 needs compute capability 8.0",
        ),
        (
            engine(quantization="fp8"),
            {"gpu.compute_capability": "8.6"},
            "engine.tensorrt_llm.quantization: fp8 needs compute capability 8.9",
        ),
        (
            engine(kv_cache_dtype="fp8"),
            {"gpu.compute_capability": "8.0"},
            "engine.tensorrt_llm.kv_cache_dtype: fp8 needs compute capability 8.9",
        ),
        (engine(tp_size=2), {"gpu.count": "2", "gpu.mig": "1g.10gb"}, "MIG instances 1g.10gb"),
    ],
)
def test_what_the_gpus_cannot_do_is_refused(
    settings: dict[str, Any], facts: dict[str, str], said: str
) -> None:
    check = found("GPUs", {**H100, **facts}, settings)
    assert check.verdict == "does not fit" and said in check.said


@pytest.mark.parametrize(
    ("facts", "settings", "verdict"),
    [
        ({"gpu.error": "one GPU is lost"}, {}, "tight"),
        ({"gpu.count": "2", "gpu.names": "A, B"}, engine(tp_size=2), "tight"),
        ({"gpu.count": "2", "gpu.names": "A, B"}, {}, "fits"),
        ({"gpu.compute_capability": ""}, engine(dtype="bfloat16"), "fits"),
        ({"gpu.shared_memory": "yes"}, {}, "fits"),
    ],
)
def test_gpus(facts: dict[str, str], settings: dict[str, Any], verdict: str) -> None:
    assert found("GPUs", {**H100, **facts}, settings).verdict == verdict


ROW = Row(
    triton="24.02",
    tensorrt_llm="0.8.0",
    tensorrt="9.2",
    cuda="12.3",
    driver="545.23.08",
    python="3.10",
    sources=Sources(repository="TensorRT-LLM", tag="v0.8.0"),
    forward=("470.57", "525.85", "535.86"),
)


@pytest.mark.parametrize(
    ("driver", "names", "verdict", "said"),
    [
        ("545.23.08", "NVIDIA GeForce RTX 4090", "fits", "needs 545.23.08"),
        ("590.48.01", "NVIDIA H100 PCIe", "fits", "needs 545.23.08"),
        ("535.129.03", "NVIDIA A100-SXM4-80GB", "fits", "by CUDA's forward compatibility"),
        ("535.129.03", "Tesla T4", "fits", "by CUDA's forward compatibility"),
        ("535.129.03", "NVIDIA L40S", "fits", "by CUDA's forward compatibility"),
        ("535.129.03", "NVIDIA T400 4GB", "does not fit", "for data-centre GPUs only"),
        ("535.129.03", "NVIDIA GB10", "does not fit", "for data-centre GPUs only"),
        ("535.129.03", "NVIDIA GeForce RTX 4090", "does not fit", "for data-centre GPUs only"),
        ("535.129.03", "NVIDIA A10, NVIDIA RTX A6000", "does not fit", "data-centre GPUs only"),
        ("535.54.03", "NVIDIA H100 PCIe", "does not fit", "535.54.03 is too old"),
        ("530.30.02", "NVIDIA H100 PCIe", "does not fit", "530.30.02 is too old"),
        ("470.57.02", "Tesla V100-SXM2-16GB", "fits", "forward compatibility"),
    ],
)
def test_the_driver_against_a_row_of_the_matrix(
    driver: str, names: str, verdict: str, said: str
) -> None:
    check = driver_check(ROW, driver, names)
    assert (check.verdict, said in check.said) == (verdict, True), check


def test_a_driver_too_old_is_told_the_release_that_it_runs() -> None:
    check = found("NVIDIA driver", {**H100, "gpu.driver": "560.35.05"})
    assert check.verdict == "does not fit"
    assert check.said == ("560.35.05 is too old: Triton 26.06 (CUDA 13.1.0.036) needs 590.44.01")
    assert check.hint.startswith("set runtime.triton to 24.")
    assert check.hint.endswith("or install driver 590.44.01 or newer")


@pytest.mark.parametrize(
    ("row", "recipe", "repo", "said"),
    [
        (ROW, "engine", "upstream", ""),
        (ROW, "llmapi", "llmapi", ""),
        (ROW.model_copy(update={"engine_backend": False}), "engine", "upstream", "no TensorRT eng"),
        (ROW.model_copy(update={"engine_backend": False}), "llmapi", "llmapi", ""),
        (ROW.model_copy(update={"defects": {"llmapi": "it ends"}}), "llmapi", "llmapi", "it ends"),
        (ROW.model_copy(update={"defects": {"llmapi": "it ends"}}), "engine", "upstream", ""),
    ],
)
def test_the_image_has_to_serve_what_is_asked_for(
    row: Row, recipe: str, repo: str, said: str
) -> None:
    check = image_check(row, recipe, repo)
    assert (check.verdict, said in check.said) == ("does not fit" if said else "fits", True)
    assert bool(check.hint) == bool(said)


def test_an_image_of_ones_own_may_need_anything() -> None:
    settings = {"runtime": {"kind": "container", "image": "me/triton:1"}}
    check = found("NVIDIA driver", settings=settings)
    assert (check.verdict, check.said) == (
        "tight",
        "590.48.01; what me/triton:1 needs is not known",
    )


@pytest.mark.parametrize(
    ("runtime", "facts", "more", "verdict"),
    [
        ({"kind": "container", "shm_size": "64m"}, {}, {}, "tight"),
        ({"kind": "container", "shm_size": "1g"}, {}, {}, "fits"),
        ({"kind": "container", "shm_size": "512m"}, {"gpu.count": "2"}, engine(tp_size=2), "tight"),
        ({"kind": "installed"}, {"shm_mib": "64"}, {}, "tight"),
        ({"kind": "installed"}, {"shm_mib": "32000"}, {}, "fits"),
        ({"kind": "installed"}, {"shm_mib": ""}, {}, "tight"),
    ],
)
def test_shared_memory(
    runtime: dict[str, str], facts: dict[str, str], more: dict[str, Any], verdict: str
) -> None:
    settings = {**more, "runtime": {"triton": "26.06", **runtime}}
    assert found("/dev/shm", {**H100, **facts}, settings).verdict == verdict


@pytest.mark.parametrize(
    ("text", "expected"), [("2g", 2048), ("512m", 512), ("1048576k", 1024), ("1073741824", 1024)]
)
def test_sizes_as_container_engines_write_them(text: str, expected: int) -> None:
    assert mib(text) == expected


def test_in_a_container_its_limit_is_the_memory() -> None:
    assert memory_mib(a_host(ENGINE, H100)) == 63476
    assert memory_mib(a_host(ENGINE, {**H100, "memory_limit_mib": "32768"})) == 32768


@pytest.mark.parametrize(("version", "verdict"), [("3.8.0", "fits"), ("3.6.8", "does not fit")])
def test_the_hosts_python(version: str, verdict: str) -> None:
    text = FACTS.replace("3.11.7", version)
    assert found("Python", text=text).verdict == verdict
    assert found("Python", text=FACTS.replace("3.11.7", "")).verdict == "does not fit"


@pytest.mark.parametrize(
    ("libc", "said"),
    [
        ("glibc 2.36", ""),
        ("glibc 2.35", ""),
        ("glibc 2.31", "needs glibc 2.35; the host has glibc 2.31"),
        ("", ""),  # not known
    ],
)
def test_a_cpu_host_is_asked_for_its_glibc_and_nothing_else(libc: str, said: str) -> None:
    host = a_host({}, {"gpu.count": "0"}, FACTS.replace("glibc 2.36", libc))
    declared = preflight.resources(host)
    assert [item.id for item in declared] == (["requirement:glibc"] if said else [])
    assert all(isinstance(item, Requirement) and said in item.test for item in declared)
    assert len(environment_checks(host)) == 1


def test_glibc_does_not_matter_to_a_container() -> None:
    assert environment_checks(a_host(ENGINE, H100, FACTS.replace("2.36", "2.17"))) == []
