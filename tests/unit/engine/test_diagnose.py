from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from roles.engine.tensorrt_llm import diagnose
from tests.doubles.tensorrt_llm.prefix import ENDS_BY_MEANING, ends
from tests.support import SHELLS, find_shell


def explain(shell: str, folder: Path, log: str, status: int = 1) -> str:
    path = folder / "log"
    path.write_text(log)
    script = f"set -e\n{diagnose.script()}\nrc_diagnose engine {status} {path}\n"
    done = subprocess.run([shell], input=script, capture_output=True, text=True, check=True)
    assert not done.stderr
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("name", "means"), ENDS_BY_MEANING.items())
def test_a_known_end_is_explained(name: str, means: str, shell: str, tmp_path: Path) -> None:
    log = f"loading\nTraceback (most recent call last):\n{ends()[name]}\n"
    said = explain(find_shell(shell, tmp_path), tmp_path, log)
    assert f"error: {means}" in said
    assert "\n  next: " in said and "#" in said


@pytest.mark.parametrize("status", [137, 247])
def test_a_kill_is_the_hosts_memory(status: int, tmp_path: Path) -> None:
    said = explain("/bin/sh", tmp_path, "[TRT] [I] building\n", status)
    assert f"engine ended with status {status}" in said
    assert "the host ran out of memory" in said and "#1728" in said


def test_an_unknown_end_gives_its_last_line(tmp_path: Path) -> None:
    said = explain("/bin/sh", tmp_path, "a\nValueError: so it is\n\n::progress {}\n", 3)
    assert said.endswith("error: ValueError: so it is\n  next: the lines above say more\n")


def test_every_symptom_names_issues() -> None:
    for symptom in diagnose.SYMPTOMS:
        assert "#" in symptom.issues, symptom
