"""The host's side of a build, in each shell that a host may have."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from roles.engine.tensorrt_llm import diagnose
from tests.support import SHELLS, find_shell

STEPS = Path(__file__).parents[3] / "roles/engine/tensorrt_llm/host/steps.sh"


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return find_shell(request.param, tmp_path / "shells")


def run(shell: str, out: Path, text: str) -> tuple[int, str]:
    script = f"set -e\nOUT={out}\n{diagnose.script()}\n{STEPS.read_text()}\n{text}\n"
    done = subprocess.run([shell], input=script, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_lines_are_passed_on_kept_and_counted(shell: str, tmp_path: Path) -> None:
    status, said = run(
        shell,
        tmp_path,
        r"""
in_runtime() { printf 'bar 0%%\rbar 50%%\rbar 100%%\r\n  a \\ line\nsaved 0\nsaved 1\nlast'; }
rc_step engine 2 saved trtllm-build --max_batch_size 64
""",
    )
    assert status == 0
    lines = said.splitlines()
    assert lines == [
        "running: trtllm-build --max_batch_size 64",
        '::progress {"done": 0, "total": 2, "unit": "ranks", "label": "engine"}',
        "bar 100%",
        r"  a \ line",
        "saved 0",
        '::progress {"done": 1, "total": 2, "unit": "ranks", "label": "engine"}',
        "saved 1",
        '::progress {"done": 2, "total": 2, "unit": "ranks", "label": "engine"}',
        "last",
    ]
    log = (tmp_path / "build.log").read_text().splitlines()
    assert log == ["bar 100%", r"  a \ line", "saved 0", "saved 1", "last"]
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["build.log"]


def test_a_tool_whose_mark_is_unknown_reports_its_begin_alone(shell: str, tmp_path: Path) -> None:
    status, said = run(shell, tmp_path, "in_runtime() { echo one; }\nrc_step checkpoint 1 '' x")
    assert (status, said.count("::progress")) == (0, 1)


def test_a_failure_keeps_its_status_and_stops_the_build(shell: str, tmp_path: Path) -> None:
    status, said = run(
        shell,
        tmp_path,
        "in_runtime() { echo 'CUDA out of memory' >&2; return 3; }\nrc_step engine 1 '' x\necho on",
    )
    assert status == 1
    assert "engine ended with status 3\nerror: the GPU's memory is too small" in said
    assert "\non" not in said


def test_a_kill_is_explained(shell: str, tmp_path: Path) -> None:
    status, said = run(
        shell, tmp_path, "in_runtime() { sh -c 'kill -9 $$'; }\nrc_step engine 1 '' x"
    )
    assert status == 1
    assert "error: the host ran out of memory" in said


@pytest.mark.parametrize(
    ("present", "message"),
    [
        ((0, 1), ""),
        ((0,), "rank1.engine is missing: only a part of the 2 ranks"),
        ((1,), "rank0.engine is missing"),
        ((0, 1, 2), "there are more than the 2 ranks"),
    ],
)
def test_ranks_are_counted(
    shell: str, tmp_path: Path, present: tuple[int, ...], message: str
) -> None:
    for rank in present:
        (tmp_path / f"rank{rank}.engine").write_text("x")
    status, said = run(shell, tmp_path, "rc_ranks 2 engine\necho whole")
    assert (status, "whole" in said) == ((0, True) if not message else (1, False))
    assert message in said
