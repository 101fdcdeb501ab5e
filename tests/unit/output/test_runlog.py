from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest

from rolecall.events import Event, ResourceDone
from rolecall.output.runlog import RunLog, last_change, runs
from rolecall.run import new_run_id
from tests.unit.output.support import HOST, MODE, changed, feed, ok, run_of, started


def run_id(number: int) -> str:
    return f"20261122-1200{number:02d}-abcd"


def record(folder: Path, number: int, *events: Event, check: bool = False, keep: int = 0) -> Path:
    log = RunLog(folder, run_id(number), keep)
    feed(log, run_of(*events, check=check))
    return log.path


def test_a_run_is_kept_for_its_user_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        path = record(tmp_path / "runs", 1, ok("a:1"))
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    events = [json.loads(line)["event"] for line in path.read_text().splitlines()]
    assert events == ["run", "host", "resource", "host_done", "recap"]


def test_the_file_comes_with_the_first_event(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "runs", run_id(1))
    assert not log.path.parent.exists()
    log.handle(started())
    assert len(log.path.read_text().splitlines()) == 1


def test_the_newest_runs_are_kept_and_other_files_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").write_text("mine")
    for number in range(8):
        record(tmp_path, number, keep=5)
    assert [run.path.stem for run in runs(tmp_path)] == [run_id(n) for n in (7, 6, 5, 4, 3)]
    assert (tmp_path / "notes.jsonl").exists()


def test_runs_are_read_back_the_newest_first(tmp_path: Path) -> None:
    record(tmp_path, 1, changed("a:1"))
    record(tmp_path, 2, check=True)
    newest, oldest = runs(tmp_path)
    assert (newest.check, oldest.check, oldest.task, oldest.hosts) == (
        True,
        False,
        "deploy",
        (HOST,),
    )
    assert oldest.recap is not None
    assert oldest.recap[HOST]["changed"] == 1


def test_runs_of_one_second_are_in_the_order_in_which_they_began() -> None:
    ids = []
    for _ in range(20):
        ids.append(new_run_id())
        time.sleep(0.001)
    assert ids == sorted(ids)
    assert len({one[:15] for one in ids}) <= 2, "they began within a second"


def test_runs_of_the_hour_that_autumn_has_twice_are_in_their_order(tmp_path: Path) -> None:
    for name, at in (("20261025-025900-aaaa", "00:59"), ("20261025-020100-aaaa", "01:01")):
        path = record(tmp_path, 1)
        text = re.sub(r'"at": "[^"]*"', f'"at": "2026-10-25T{at}:00+00:00"', path.read_text())
        path.rename(tmp_path / f"{name}.jsonl").write_text(text)
    assert [run.path.stem[9:13] for run in runs(tmp_path)] == ["0201", "0259"]


def test_a_log_cut_by_a_crash_is_readable(tmp_path: Path) -> None:
    path = record(tmp_path, 1, changed("a:1"))
    text = path.read_text()
    path.write_text(text[: text.index('"host_done"') + 5])
    (run,) = runs(tmp_path)
    assert run.recap is None
    assert last_change(tmp_path, HOST, "a:1") is not None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        '{"event": "run"}',
        '{"event": "run", "at": "x", "run": "", "task": "", "hosts": 1}',
    ],
)
def test_a_log_that_is_damaged_hides_no_other(tmp_path: Path, line: str) -> None:
    record(tmp_path, 1)
    (tmp_path / f"{run_id(2)}.jsonl").write_text(f"{line}\n")
    assert [run.path.stem for run in runs(tmp_path)] == [run_id(1)]


def test_the_last_change_of_a_resource_is_found(tmp_path: Path) -> None:
    record(tmp_path, 1, changed('file:/a "b" ü'))
    record(tmp_path, 2, changed('file:/a "b" ü'), changed("file:/other"))
    record(tmp_path, 3, ok('file:/a "b" ü'))
    found = last_change(tmp_path, HOST, 'file:/a "b" ü')
    assert found is not None
    assert (found.run, found.task, found.changes) == (run_id(2), "deploy", (MODE,))


def test_what_check_mode_predicts_or_another_host_did_is_no_change(tmp_path: Path) -> None:
    record(tmp_path, 1, ResourceDone(HOST, "r", "a:1", "would change", (MODE,)), check=True)
    record(tmp_path, 2, changed("a:1", host="elsewhere"))
    assert last_change(tmp_path, HOST, "a:1") is None


def test_no_runs_yet_is_nothing_to_read(tmp_path: Path) -> None:
    assert runs(tmp_path / "none") == []
    assert last_change(tmp_path / "none", HOST, "a:1") is None


def test_a_log_that_cannot_be_written_is_said_once_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    record(tmp_path / "runs", 1, changed("a:1"))
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "is incomplete" in said


def test_a_log_on_a_full_disk_is_said_once_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2):
        (tmp_path / RunLog(tmp_path, run_id(number)).path.name).symlink_to("/dev/full")
        record(tmp_path, number, changed("a:1"))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert all(line.endswith("is incomplete: No space left on device") for line in said)
