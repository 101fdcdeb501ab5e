"""``./inv test --quick`` leaves out what takes long, and says so."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_it_says_what_it_left_out() -> None:
    done = _test("tests/unit/core/test_turns.py", "no_test_is_called_so")
    assert "deselected" in done.stdout, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("left out by --quick: tests/integration/cluster ")
    for folder in last.partition(": ")[2].split():
        assert (ROOT / folder).is_dir()


def test_nothing_but_what_it_leaves_out_is_refused() -> None:
    done = _test("tests/integration/images/test_cpu.py")
    assert done.returncode == 1
    assert "--quick leaves out tests/integration/images" in done.stderr
    assert not done.stdout


def _test(only: str, match: str = "") -> subprocess.CompletedProcess[str]:
    command = ["./inv", "test", "--quick", "--only", only, *(["-k", match] if match else [])]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120
    )
