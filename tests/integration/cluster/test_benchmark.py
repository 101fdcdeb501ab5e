"""The benchmark of clusters, its quick path and without the slow peers: it must not rot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cluster.manifests import KINDS, LABELS, manifests
from benchmarks.cluster.measure import digest
from benchmarks.peers.environments import NotInstalled, environment
from tests.rig.kubernetes import programs

ROOT = Path(__file__).parents[3]


def test_the_quick_benchmark_measures_a_first_run_and_runs_that_write_nothing(
    tmp_path: Path,
) -> None:
    programs.find()
    try:
        environment("rolecall")
    except NotInstalled as error:
        pytest.skip(f"the benchmark's own environment is missing: {error}")
    command = [sys.executable, str(ROOT / "benchmarks" / "k8s.py"), "--quick"]
    names = ["rolecall", "kubectl apply --server-side"]
    options = ["--tools", ",".join(names), "--output", str(tmp_path)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    (case,) = json.loads((tmp_path / "k8s.json").read_text())["cases"]
    assert [figures["tool"] for figures in case["tools"]] == names
    for figures in case["tools"]:
        assert len(figures["first"]["seconds"]) == 1
        assert len(figures["noop"]["ratios"]) >= 1
    assert (case["size"], len(case["digest"])) == (20, 64)


@pytest.mark.parametrize("size", [10, 200])
def test_there_are_as_many_objects_as_the_size_says_each_with_the_labels(size: int) -> None:
    things = manifests(size)
    assert len({(thing["kind"], thing["metadata"]["name"]) for thing in things}) == size
    assert all(LABELS.items() <= thing["metadata"]["labels"].items() for thing in things)
    assert len({thing["kind"] for thing in things}) == len(KINDS)


def test_a_digest_is_of_what_is_wanted_and_not_of_who_made_it() -> None:
    one, other = ({("ConfigMap", "o0000"): manifests(10)[0]} for _ in range(2))
    (thing,) = other.values()
    made = {"uid": "1", "resourceVersion": "7", "managedFields": [{"manager": "kubectl"}]}
    thing["metadata"] |= made
    assert digest(one) == digest(other)
    thing["data"]["level"] = "debug"
    assert digest(one) != digest(other)
