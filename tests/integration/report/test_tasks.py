"""``./inv report`` and ``./inv runs``, as a user calls them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.cli.project import copy_project
from tests.integration.deployed import Completed, run_inv
from tests.integration.report.conftest import Ran


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, ran: Ran) -> Path:
    root = copy_project(tmp_path_factory.mktemp("project") / "project")
    (root / ".rolecall").mkdir(mode=0o700)
    shutil.copytree(ran.folder / "runs", root / ".rolecall/runs")
    return root


def inv(project: Path, *args: str, **environ: str) -> Completed:
    return run_inv(*args, cwd=project, inv=project / "inv", env=environ)


def test_the_last_run_is_reported_for_its_user_alone(project: Path, ran: Ran) -> None:
    done = inv(project, "report")
    assert (done.returncode, done.stderr) == (0, "")
    path = Path(done.stdout.strip())
    assert path.name == f"{ran.second.stem}.html"
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert "1 failure on 1 of 2 hosts." in text
    assert f"Run {ran.first.stem} took" in text


def test_a_run_is_chosen_and_the_file_as_well(project: Path, ran: Ran, tmp_path: Path) -> None:
    for wanted in ("-2", ran.first.stem, str(ran.first)):
        out = tmp_path / "one.html"
        done = inv(project, "report", wanted, "--out", str(out))
        assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
        assert f"run {ran.first.stem}" in out.read_text()
        out.unlink()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("report", "-9"), "only 2 are on record"),
        (("report", "1999"), "no run 1999 is on record"),
        (("report", "--out", "/proc/none/r.html"), "cannot be written"),
        (("runs", "-n", "0"), "at least one"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_to_do(
    project: Path, args: tuple[str, ...], said: str
) -> None:
    done = inv(project, *args)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("works", [True, False])
def test_it_is_shown_in_the_users_browser(project: Path, tmp_path: Path, works: bool) -> None:
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\necho "$1" >{tmp_path}/shown\nexit {0 if works else 1}\n')
    program.chmod(0o755)
    nothing_else = {"PATH": os.defpath, "TERM": "", "DISPLAY": "", "WAYLAND_DISPLAY": ""}
    done = inv(project, "report", "--open", BROWSER=f"{program} %s", **nothing_else)
    page = Path(done.stdout.strip())
    assert (tmp_path / "shown").read_text().strip() == page.as_uri()
    assert done.returncode == (0 if works else 1)
    assert ("no browser can be started here" in done.stderr) is not works


def test_what_is_no_file_is_written_to_and_a_link_stays_one(
    project: Path, ran: Ran, tmp_path: Path
) -> None:
    """As root, a file in the place of /dev/null would be the end of the machine."""
    pipe, link, real = tmp_path / "pipe", tmp_path / "link.html", tmp_path / "real.html"
    os.mkfifo(pipe)
    with subprocess.Popen(
        ["timeout", "60", "cat", str(pipe)], stdout=subprocess.PIPE, text=True
    ) as reader:
        done = inv(project, "report", "--out", str(pipe))
        assert reader.stdout and reader.stdout.read().startswith("<!doctype html>")
    assert (done.returncode, done.stdout) == (0, "")
    assert pipe.is_fifo()
    real.touch()
    link.symlink_to(real)
    assert inv(project, "report", "--out", str(link)).returncode == 0
    assert link.is_symlink() and real.read_text().startswith("<!doctype html>")


def test_runs_are_listed_the_newest_first(project: Path, ran: Ran) -> None:
    done = inv(project, "runs")
    heading, newest, oldest = done.stdout.splitlines()
    assert heading.startswith("RUN")
    assert newest.startswith(ran.second.stem)
    assert oldest.startswith(ran.first.stem)
    assert "1 failed" in newest
    assert "gpu-1, gpu-2" in newest
    (one,) = inv(project, "runs", "-n", "1", "--json", "--hosts", "gpu-*").stdout.splitlines()
    assert json.loads(one)["run"] == ran.second.stem


def test_of_hosts_without_a_run_that_is_said(project: Path) -> None:
    done = inv(project, "runs", "--hosts", "nowhere")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no run on nowhere is on record" in done.stdout


def test_only_as_many_runs_are_kept_as_the_setting_says(project: Path) -> None:
    keep = ("--set", "rolecall.keep_runs=2", "--set", f"rolecall.home={project}/home")
    done = inv(project, "system", "--check", *keep)
    assert done.returncode == 0, done.stderr
    listed = [json.loads(line) for line in inv(project, "runs", "--json").stdout.splitlines()]
    assert len(listed) == 2
    assert (listed[0]["task"], listed[0]["check"], listed[0]["ended"]) == (
        "system",
        True,
        "finished",
    )
    report = Path(inv(project, "report").stdout.strip()).read_text()
    assert "./inv system" in report
    assert "keep_runs" in report
