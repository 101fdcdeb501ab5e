"""Standard streams that are closed, or lead to a disk that is full."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.integration.deployed import ROOT

PROGRAMS = pytest.mark.parametrize("module", ["rolecall", "rolecall.cli.fab"])


def run(module: str, redirected: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, "--search-root", str(ROOT), *words]
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirected}', "sh", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


@PROGRAMS
@pytest.mark.parametrize("redirected", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_was_closed_is_no_trouble(module: str, redirected: str) -> None:
    done = run(module, redirected, "settings", "rolecall")
    assert (done.returncode, done.stderr) == (0, "")
    assert (">&-" in redirected.split()) != ("rolecall.home" in done.stdout)


@PROGRAMS
@pytest.mark.parametrize("words", [["--list"], ["settings", "rolecall"]])
def test_a_full_disk_for_the_output_is_told_in_two_lines(module: str, words: list[str]) -> None:
    done = run(module, ">/dev/full", *words)
    assert done.returncode == 1
    said, following = done.stderr.splitlines()
    assert said.startswith("error: No space left on device on this machine")
    assert following.startswith("  next: ")
