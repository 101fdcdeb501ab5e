"""What is read back from a log, whatever became of the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.errors import ConfigError
from rolecall.events import (
    Applying,
    Connecting,
    ExchangeStarted,
    HostDone,
    JobFollowed,
    Message,
    Output,
    Progress,
    Remain,
    RunDone,
    SettingsKnown,
    SettingValue,
    TextDiff,
    WaitDone,
    Waiting,
)
from rolecall.report.model import UNFINISHED, Run
from rolecall.report.page import page
from rolecall.report.read import HEAD, TAIL, read_run
from tests.unit.report.logs import (
    MODE,
    done,
    finished,
    fleet,
    opened,
    over,
    run_id,
    started,
    write,
)


def whole(path: Path) -> Run:
    """A run with everything in it."""
    value = SettingValue("port", "8000", "group_vars/all.yaml:3")
    events = [
        started("a", "b"),
        SettingsKnown("", ("a", "b"), "server", (value,)),
        2.0,
        *opened("a", 4),
        Waiting("a", "lock", "a is locked by eve@desk"),
        3.0,
        WaitDone("a", "lock", 3.0),
        TextDiff("a", "file:/b", "/b", ("@@ -1 +1 @@", "-x", "+y")),
        done("a", "file:/a"),
        Applying("a", "system", "file:/b", (MODE,)),
        JobFollowed("a", "file:/b", "build-1", attached=True),
        Progress("a", "file:/b", "building", 1, 4, "layers"),
        1.5,
        Output("a", "file:/b", "built"),
        Progress("a", "file:/b", "building", 4, 4, "layers"),
        done("a", "file:/b", "changed", 1.5),
        done("a", "file:/c", "failed", reason="no space\nleft", hint="free some"),
        done("a", "file:/d", "skipped", reason="after file:/c"),
        HostDone("a", 3, 6.5),
        Message("", "all said", "good"),
        Remain("", ("a",), "./inv deploy --hosts @failed"),
        finished(7.0),
    ]
    return read_run(write(path, events, hosts=("a", "b")))


def test_everything_is_read(tmp_path: Path) -> None:
    run = whole(tmp_path / "r.jsonl")
    assert (run.id, run.task, run.check, run.by, run.version) == (
        run_id(),
        "deploy",
        False,
        "ada@laptop",
        "0.1.0",
    )
    assert (run.ended, run.seconds, run.outcome) == ("finished", 7.0, "failed")
    assert run.next == "./inv deploy --hosts @failed"
    assert run.said == [("all said", "good")]
    assert [one.values[0].value for one in run.settings] == ["8000"]
    a, b = run.parts.values()
    assert [step.id for step in a.steps] == ["file:/a", "file:/b", "file:/c", "file:/d"]
    assert [step.outcome for step in a.steps] == ["ok", "changed", "failed", "skipped"]
    assert (a.outcome, b.outcome) == ("failed", "skipped")
    assert (a.facts["cpus"], a.exchanges, a.seconds) == (2, 3, 6.5)
    changed = a.steps[1]
    assert (changed.began, changed.ended, changed.seconds) == (5.0, 6.5, 1.5)
    assert changed.changes == (MODE,)
    assert changed.output == ["built"]
    assert changed.diffs == [("/b", ["@@ -1 +1 @@", "-x", "+y"])]
    assert changed.job is not None
    assert (changed.job.name, changed.job.attached) == ("build-1", True)
    assert [(point.at, point.done) for point in changed.progress] == [(5.0, 1), (6.5, 4)]
    assert a.steps[2].hint == "free some"


def test_what_took_time_has_a_span(tmp_path: Path) -> None:
    spans = whole(tmp_path / "r.jsonl").parts["a"].spans
    assert [(span.kind, span.begin, span.end) for span in spans] == [
        ("turn", 0.0, 2.0),
        ("connect", 2.0, 2.0),
        ("exchange", 2.0, 2.0),
        ("wait", 2.0, 5.0),
    ]
    assert spans[-1].note == "a is locked by eve@desk"


def test_a_run_that_was_killed_is_read_up_to_there(tmp_path: Path) -> None:
    events = [
        started("a", "b"),
        *opened("a", 2),
        Applying("a", "engine", "engine:x", (MODE,)),
        Output("a", "engine:x", "building"),
        Connecting("b"),
        ExchangeStarted("b", 1, "open"),
        4.0,
        Output("a", "engine:x", "still building"),
    ]
    path = write(tmp_path / "r.jsonl", events, recap=False)
    path.write_text(path.read_text() + '{"event": "output", "at": "2026-11')
    run = read_run(path)
    assert (run.ended, run.outcome, run.seconds, run.broken) == ("unknown", UNFINISHED, 4.0, 1)
    step = run.parts["a"].steps[0]
    assert (step.outcome, step.heading, step.output) == (
        UNFINISHED,
        UNFINISHED,
        ["building", "still building"],
    )
    assert run.parts["b"].spans[-1].end == 4.0
    assert "Its log ends after 4.0 s" in page(run)


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [
        (RunDone("", "interrupted", 2.0), "interrupted"),
        (RunDone("", "stopped", 2.0, "the role repo is wrong", "mend it"), "failed"),
    ],
)
def test_a_run_that_was_ended_says_how(tmp_path: Path, ending: RunDone, outcome: str) -> None:
    run = read_run(write(tmp_path / "r.jsonl", [started("a"), *opened("a"), ending]))
    assert (run.ended, run.outcome) == (ending.ended, outcome)
    text = page(run)
    assert (ending.reason or "It was interrupted") in text
    assert ending.hint in text


def test_events_and_fields_of_other_versions_are_passed_over(tmp_path: Path) -> None:
    path = write(
        tmp_path / "r.jsonl", [started("a"), *opened("a"), done("a", "file:/a"), over("a")]
    )
    lines = path.read_text().splitlines()
    lines.insert(1, '{"event": "comet", "at": "2026-11-22T12:00:01+00:00", "tail": 3}')
    lines[0] = json.dumps({**json.loads(lines[0]), "moon": "full"})
    path.write_text("\n".join(lines))
    run = read_run(path)
    assert (run.broken, run.outcome, run.ended) == (0, "ok", "finished")


def test_a_log_of_before_these_events_is_read(tmp_path: Path) -> None:
    lines = [
        {
            "event": "run",
            "host": "",
            "run": run_id(),
            "task": "deploy",
            "check": False,
            "hosts": ["a"],
        },
        {"event": "connecting", "host": "a"},
        {"event": "host", "host": "a", "resources": 1},
        {**done("a", "file:/a", "changed", 1.0).to_dict()},
        {
            "event": "host_done",
            "host": "a",
            "exchanges": 2,
            "seconds": 1.0,
            "error": "",
            "hint": "",
        },
    ]
    stamped = [json.dumps({**one, "at": "2026-11-22T12:00:00.000+00:00"}) for one in lines]
    recap = json.dumps({"event": "recap", "hosts": {"a": {"changed": 1}}})
    path = tmp_path / "r.jsonl"
    path.write_text("\n".join([*stamped, recap]))
    run = read_run(path)
    assert (run.ended, run.outcome, run.by, run.count("changed")) == ("finished", "changed", "", 1)
    assert "1 resource changed." in page(run)


def test_of_much_output_the_first_and_the_last_lines_are_kept(tmp_path: Path) -> None:
    lines = [Output("a", "file:/a", f"line {number}") for number in range(10_000)]
    events = [started("a"), *opened("a"), *lines, done("a", "file:/a", "changed"), over("a")]
    step = read_run(write(tmp_path / "r.jsonl", events)).parts["a"].steps[0]
    assert step.lines == 10_000
    assert len(step.output) == HEAD + TAIL
    assert (step.output[0], step.output[HEAD - 1], step.output[-1]) == (
        "line 0",
        f"line {HEAD - 1}",
        "line 9999",
    )


@pytest.mark.parametrize("text", ["", "not json\n", '{"event": "recap", "hosts": {}}\n', "[1]\n"])
def test_a_file_that_is_no_log_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigError, match="not the log of a run"):
        read_run(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_run(tmp_path / "none.jsonl")


@given(st.data())
def test_a_log_cut_and_spoilt_anywhere_makes_a_page(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.jsonl"
    text = write(path, fleet(6, 3, bad=2), hosts=("gpu-001",)).read_text()
    start = text.index("\n") + 1
    cut = data.draw(st.integers(start, len(text)))
    at = data.draw(st.integers(start, cut))
    path.write_text(text[:at] + data.draw(st.text(max_size=8)) + text[at:cut], encoding="utf-8")
    assert "<h1>deploy" in page(read_run(path))
