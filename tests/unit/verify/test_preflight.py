"""The checks of the machine itself, on hosts made of facts."""

from __future__ import annotations

import pytest

from roles.preflight import verify
from tests.unit.preflight.support import ENGINE, FACTS, H100, a_host


def test_a_gpu_as_needed_holds() -> None:
    verify.test_gpus_and_driver_are_as_needed(a_host(ENGINE, H100))


def test_a_host_without_gpus_is_told() -> None:
    with pytest.raises(AssertionError, match=r"GPUs: there is no nvidia-smi[\s\S]*next: install"):
        verify.test_gpus_and_driver_are_as_needed(a_host(ENGINE, {"gpu.count": "0"}))


def test_a_gpu_in_trouble_is_told_in_the_words_of_nvidia_smi() -> None:
    lost = {"gpu.count": "0", "gpu.error": "GPU is lost.  Reboot the system"}
    with pytest.raises(AssertionError, match="GPU is lost"):
        verify.test_gpus_and_driver_are_as_needed(a_host(ENGINE, lost))


def test_a_driver_that_is_too_old_is_told_with_both_versions() -> None:
    old = {**H100, "gpu.driver": "470.82.01"}
    with pytest.raises(AssertionError, match=r"NVIDIA driver: 470\.82\.01 is too old"):
        verify.test_gpus_and_driver_are_as_needed(a_host(ENGINE, old))


def test_a_c_library_that_is_too_old_is_told() -> None:
    old = FACTS.replace("glibc 2.36", "glibc 2.31")
    with pytest.raises(AssertionError, match=r"Triton's wheel needs glibc 2\.35"):
        verify.test_the_c_library_runs_the_wheels(a_host({}, {}, old))
    verify.test_the_c_library_runs_the_wheels(a_host({}, {}))


def test_who_asks_for_no_gpu_is_not_asked_for_one() -> None:
    with pytest.raises(pytest.skip.Exception):
        verify.test_gpus_and_driver_are_as_needed(a_host({}, {}))
