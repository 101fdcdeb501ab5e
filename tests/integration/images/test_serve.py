"""``./inv serve`` where it cannot serve: nothing is begun."""

from __future__ import annotations

from pathlib import Path

from tests.integration.deployed import run_inv


def test_it_starts_no_container(tmp_path: Path) -> None:
    sets = ("rolecall.home=" + str(tmp_path / "home"), "runtime.kind=container")
    done = run_inv("serve", *(part for text in sets for part in ("--set", text)))
    assert done.returncode == 2 and "runtime.kind is container" in done.stderr
    assert not (tmp_path / "home").exists()


def test_it_serves_on_the_machine_it_runs_on(tmp_path: Path) -> None:
    done = run_inv("serve", "--inventory", "far.example,", "--hosts", "far.example")
    assert done.returncode == 2 and "the machine it runs on" in done.stderr
