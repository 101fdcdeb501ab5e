"""The timer of docs/drift.md: its unit files are what systemd takes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.deployed import ROOT, run_inv

PAGE = (ROOT / "docs" / "drift.md").read_text()


def units() -> dict[str, str]:
    """The unit files of the page, by name."""
    blocks = re.findall(r"`/etc/systemd/system/([\w.-]+)`:\n\n```ini\n(.*?)```", PAGE, re.DOTALL)
    return dict(blocks)


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    found = units()
    assert set(found) == {"rolecall-drift.service", "rolecall-drift.timer"}
    for name, text in found.items():
        text = text.replace("/srv/rolecall", str(ROOT)).replace("User=rolecall", "User=root")
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *sorted(map(str, tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        timeout=120,
    )
    about_ours = [line for line in done.stderr.splitlines() if "rolecall-drift" in line]
    assert about_ours == [] and done.returncode == 0, done.stderr


def test_what_the_timer_runs_is_a_command(tmp_path: Path) -> None:
    (command,) = re.findall(r"^ExecStart=/srv/rolecall/inv (.*)$", PAGE, re.MULTILINE)
    (cron,) = re.findall(r"&& \./inv (.*)$", PAGE, re.MULTILINE)
    for words in (command, cron):
        assert words.split() == ["drift", "--hosts", "all"]
    (tmp_path / "hosts.yaml").write_text("all: {hosts: {gpu-1: {ansible_port: 1}}}\n")
    done = run_inv(*command.split(), "--inventory", str(tmp_path / "hosts.yaml"))
    assert done.returncode == 1 and done.stdout.startswith("not asked: gpu-1")
