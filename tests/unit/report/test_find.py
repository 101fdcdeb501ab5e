"""Which run is meant, and which one it is compared with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rolecall.errors import ConfigError
from rolecall.events import Event, RunDone, SettingsKnown, SettingValue
from rolecall.output.runlog import runs
from rolecall.output.text import Charset
from rolecall.report.compare import compare
from rolecall.report.find import comparable, find_run
from rolecall.report.listing import NO_END, as_data, table
from rolecall.report.read import read_run
from tests.unit.report.logs import BEGAN, done, finished, opened, over, run_id, started, write


def record(
    folder: Path,
    number: int,
    *events: Event,
    hosts: tuple[str, ...] = ("a",),
    end: Event | None = None,
    **how: object,
) -> Path:
    begin = started(*hosts, number=number, **how)  # type: ignore[arg-type]
    parts = [event for host in hosts for event in (*opened(host), *events, over(host))]
    path = write(
        folder / f"{run_id(number)}.jsonl",
        [begin, *parts, end or finished(float(number))],
        hosts=hosts,
    )
    text = path.read_text().replace(
        BEGAN.isoformat(timespec="milliseconds")[:17], f"2026-11-22T12:{number:02d}:"
    )
    path.write_text(text)
    return path


def test_a_run_is_named_in_many_ways(tmp_path: Path) -> None:
    first, second, third = (record(tmp_path, number) for number in (1, 2, 3))
    assert find_run(tmp_path, "") == find_run(tmp_path, "last") == third
    assert find_run(tmp_path, "-1") == third
    assert find_run(tmp_path, "-3") == first
    assert find_run(tmp_path, run_id(2)) == second
    assert find_run(tmp_path, run_id(2)[:15]) == second
    assert find_run(Path("/nowhere"), str(first)) == first


@pytest.mark.parametrize(
    ("wanted", "said", "hint"),
    [
        ("-4", "only 3 are on record", "./inv runs"),
        ("2026", "3 runs begin with 2026: ", "write more"),
        ("20261122-120009", "no run 20261122-120009 is on record", "did you mean"),
        ("other.jsonl", "there is no log other.jsonl", "./inv runs"),
    ],
)
def test_what_names_no_run_is_refused(tmp_path: Path, wanted: str, said: str, hint: str) -> None:
    for number in (1, 2, 3):
        record(tmp_path, number)
    with pytest.raises(ConfigError) as raised:
        find_run(tmp_path, wanted)
    assert said in raised.value.message
    assert hint in raised.value.hint


def test_without_any_run_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run is on record"):
        find_run(tmp_path / "runs", "last")


def test_a_run_is_compared_with_the_last_like_it(tmp_path: Path) -> None:
    record(tmp_path, 1)
    like = record(tmp_path, 2)
    record(tmp_path, 3, task="plan")
    record(tmp_path, 4, check=True)
    record(tmp_path, 5, hosts=("a", "b"))
    record(tmp_path, 6, end=RunDone("", "interrupted", 1.0))
    now = record(tmp_path, 7)
    record(tmp_path, 8)
    then = comparable(tmp_path, read_run(now))
    assert then is not None
    assert then.path == like


def test_a_run_of_another_deployment_is_not_compared(tmp_path: Path) -> None:
    def at(number: int, home: str) -> Path:
        value = SettingValue("home", home, "--set")
        return record(tmp_path, number, SettingsKnown("", ("a",), "rolecall", (value,)))

    same = at(1, "/srv/one")
    at(2, "/srv/two")
    then = comparable(tmp_path, read_run(at(3, "/srv/one")))
    assert then is not None
    assert then.path == same


def test_a_first_run_is_compared_with_none(tmp_path: Path) -> None:
    assert comparable(tmp_path, read_run(record(tmp_path, 1))) is None


def test_what_took_longer_or_shorter_is_told_the_largest_first(tmp_path: Path) -> None:
    def timed(number: int, **seconds: float) -> Path:
        events = [done("a", f"act:{name}", "changed", taken) for name, taken in seconds.items()]
        return record(tmp_path, number, *events)

    then = read_run(timed(1, same=10.0, slower=1.0, faster=9.0, little=0.1, gone=5.0))
    now = read_run(timed(2, same=10.4, slower=3.5, faster=2.0, little=0.3, new=4.0))
    told = compare(now, then)
    assert [(one.id, one.more) for one in told.differences] == [
        ("act:faster", -7.0),
        ("act:slower", 2.5),
    ]
    assert told.more == 1.0
    steps = {step.id: told.delta("a", step) for step in now.parts["a"].steps}
    assert steps == {
        "act:same": None,
        "act:slower": 2.5,
        "act:faster": -7.0,
        "act:little": None,
        "act:new": None,
    }


def test_runs_are_listed_with_how_they_ended(tmp_path: Path) -> None:
    record(tmp_path, 1, done("a", "file:/a", "changed"))
    record(tmp_path, 2, end=RunDone("", "stopped", 0.4, "the role repo is wrong\nmore", ""))
    record(tmp_path, 3, end=RunDone("", "interrupted", 0.4))
    path = write(
        tmp_path / f"{run_id(4)}.jsonl", [240.0, started("a", number=4), *opened("a")], recap=False
    )
    assert path.exists()
    found = runs(tmp_path)
    lines = table(found, Charset("utf-8"), 200)
    assert lines[0].split() == ["RUN", "WHEN", "TASK", "HOSTS", "OUTCOME", "TOOK", "BY"]
    assert [line.split()[0] for line in lines[1:]] == [run_id(number) for number in (4, 3, 2, 1)]
    assert NO_END in lines[1]
    assert "interrupted, 1 ok" in lines[2]
    assert "stopped: the role repo is wrong, 1 ok" in lines[3]
    assert "ada@laptop" in lines[4]
    data = as_data(found[0])
    assert json.loads(json.dumps(data)) == data
    assert (data["ended"], data["hosts"], data["counts"]) == ("unknown", ["a"], {})
