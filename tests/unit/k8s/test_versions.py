"""Versions in a pod against settings, lock and engine; and which image is which."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from roles.k8s.checks import failures, other_images
from roles.k8s.versions import Versions, disagreements
from roles.python.role import lock_text
from roles.python.settings import Python
from tests.unit.k8s.clusters import cluster

CPU = "/opt/rolecall/python/cpu/lib/python3.12/site-packages"
SYSTEM = "/usr/local/lib/python3.12/dist-packages"


def locked() -> Versions:
    """A pod of the CPU image."""
    pinned = re.findall(r"^([\w.-]+)==([^\s;]+)", lock_text(Python(lock="cpu")), re.MULTILINE)
    packages = {name.replace("-", "_"): version for name, version in pinned}
    return Versions(packages["openvino_genai"], packages={CPU: packages})


def nvidia(release: str, library: str, engine: str = "") -> Versions:
    """A pod of an NVIDIA image."""
    return Versions(engine, release, "2.43.0", {SYSTEM: {"tensorrt_llm": library}})


def test_an_image_of_the_lock_agrees() -> None:
    assert list(disagreements(locked(), cluster(), "2.51.0")) == []


def test_a_package_of_another_version_is_named_with_both() -> None:
    found = locked()
    assert found.packages is not None
    other = {CPU: {**found.packages[CPU], "tokenizers": "0.1.0"}}
    (said,) = disagreements(replace(found, packages=other), cluster(), "2.51.0")
    assert re.search(r"the image has tokenizers 0\.1\.0, and the lock says \d", said)


def test_an_engine_of_another_version_is_told() -> None:
    (said,) = disagreements(replace(locked(), engine="2025.1.0.0"), cluster(), "2.51.0")
    assert "the engine was built by openvino_genai 2025.1.0.0, and the image has" in said


PUBLISHED = ("t9k", "t9k_published")


def test_the_published_image_agrees() -> None:
    assert (
        list(disagreements(nvidia("24.02", "0.8.0", "0.8.0"), cluster(PUBLISHED), "2.43.0")) == []
    )


@pytest.mark.parametrize(
    ("found", "answers", "words"),
    [
        (nvidia("24.03", "0.8.0"), "2.43.0", "the image is Triton 24.03, and runtime.triton is"),
        (nvidia("24.02", "0.9.0"), "2.43.0", "the image has TensorRT-LLM 0.9.0, and Triton 24.02"),
        (nvidia("24.02", "0.8.0", "0.7.1"), "2.43.0", "built by tensorrt_llm 0.7.1"),
        (nvidia("24.02", "0.8.0"), "2.44.0", "Triton 2.44.0 answers, and the image has 2.43.0"),
    ],
)
def test_what_disagrees_is_named(found: Versions, answers: str, words: str) -> None:
    (said,) = disagreements(found, cluster(PUBLISHED), answers)
    assert words in said


@pytest.mark.parametrize(
    ("running", "wanted", "same"),
    [
        ("r.example:5000/a/b:1", "r.example:5000/a/b:1", True),
        ("r.example:5000/a/b@sha256:0", "r.example:5000/a/b:1", True),
        ("r.example:5000/a/b:2", "r.example:5000/a/b:1", False),
        ("r.example:5000/a/c@sha256:0", "r.example:5000/a/b:1", False),
        ("a@sha256:0", "a@sha256:1", False),
    ],
)
def test_an_image_is_the_one_wanted_also_by_its_digest(
    running: str, wanted: str, same: bool
) -> None:
    pod = {
        "metadata": {"name": "one"},
        "spec": {"containers": [{"name": "triton", "image": running}, {"name": "x", "image": "x"}]},
    }
    assert (list(other_images([pod], {"triton": wanted})) == []) is same


def test_a_container_that_waits_is_told_with_the_reason() -> None:
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off 40s"}
    status = {"containerStatuses": [{"name": "triton", "state": {"waiting": waiting}}]}
    (said,) = failures([{"metadata": {"name": "one"}, "status": status}])
    assert said == "  one/triton does not run: CrashLoopBackOff, back-off 40s"
