"""The runner's benchmark, its quick path and with Rolecall alone: it must not rot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers.environments import NotInstalled, environment
from benchmarks.peers.state import digest, wanted
from tests.rig.sshd import find_sshd

ROOT = Path(__file__).parents[3]


def benchmark(output: Path, *options: str) -> dict[str, Any]:
    find_sshd()
    try:
        environment("rolecall")
    except NotInstalled as error:
        pytest.skip(f"the benchmark's own environment is missing: {error}")
    command = [sys.executable, str(ROOT / "benchmarks" / "runner.py"), "--output", str(output)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = output.glob("*.json")
    return dict(json.loads(found.read_text()))


def test_the_quick_benchmark_measures_a_first_run_and_runs_without_changes(tmp_path: Path) -> None:
    data = benchmark(tmp_path, "--quick", "--tools", "rolecall", "--no-figure")
    (case,) = data["cases"]
    (figures,) = case["tools"]
    assert (case["size"], case["hosts"], figures["tool"]) == (10, 1, "rolecall")
    assert len(figures["first"]["seconds"]) == 1
    assert len(figures["noop"]["ratios"]) >= 1
    assert len(case["digest"]) == 64


def test_the_fleet_benchmark_measures_time_and_memory_of_the_controller(tmp_path: Path) -> None:
    data = benchmark(tmp_path, "--fleet", "--fleet-sizes", "3")
    first, noop = data["fleet"]
    assert (first["what"], noop["what"]) == ("first", "no-op")
    assert 10 < noop["peak_mib"] < 500


@pytest.mark.parametrize("size", [10, 50, 500])
def test_the_desired_state_has_as_many_resources_as_its_size_says(size: int) -> None:
    state = wanted(size)
    items = [item for items in state.data.values() for item in items]
    assert len({item["path"] for item in items}) == len(items) == size


def test_a_digest_tells_names_modes_contents_and_targets_apart(tmp_path: Path) -> None:
    def tree(name: str, content: str = "a", mode: int = 0o644, target: str = "f") -> str:
        root = tmp_path / name
        (root / "d").mkdir(parents=True)
        (root / "d" / "f").write_text(content)
        (root / "d" / "f").chmod(mode)
        (root / "d" / "link").symlink_to(target)
        return digest(root)

    assert tree("one") == tree("two")
    others = {tree("3", content="b"), tree("4", mode=0o600), tree("5", target="g"), tree("one/d/x")}
    assert len(others | {digest(tmp_path / "two")}) == 4  # a tree's own place is no part of it
