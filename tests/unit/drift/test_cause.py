"""What a difference is due to, from the logs of earlier runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from rolecall.drift.cause import Cause, causes, changed_settings
from rolecall.drift.found import Field, Moved
from rolecall.drift.record import Record, Run, read_record
from rolecall.events import (
    Applying,
    Event,
    Recap,
    ResourceDone,
    RunStarted,
    SettingsKnown,
    SettingValue,
)
from rolecall.masks import MASK
from rolecall.output.runlog import RunLog
from rolecall.resource import Change

WHERE = ("gpu-1", "file:/etc/note")
NOW = {"note": {"text": "one"}, "rolecall": {"home": "~"}}


def run(
    folder: Path,
    at: int,
    *events: Event,
    task: str = "deploy",
    check: bool = False,
    text: str = "one",
    home: str = "~",
) -> Run:
    """A run on record."""
    name = f"20260101-0000{at:02}-0000"
    log = RunLog(folder, name)
    log.handle(RunStarted("", name, task, check, ("gpu-1",)))
    for role, key, value in (("rolecall", "home", home), ("note", "text", text)):
        values = (SettingValue(key, value, "default"),)
        log.handle(SettingsKnown("", ("gpu-1",), role, values))
    for event in events:
        log.handle(event)
    log.finish(Recap())
    return Run(name, task)


def changed(*fields: tuple[str, str | None, str | None], role: str = "note") -> ResourceDone:
    changes = tuple(Change(*field) for field in fields)
    return ResourceDone("gpu-1", role, WHERE[1], "changed", changes)


OK = ResourceDone("gpu-1", "note", WHERE[1], "ok")


def due(folder: Path, *fields: Field) -> list[Cause]:
    record = read_record(folder, [WHERE], {"gpu-1": "~"})
    found = causes(record, NOW, Moved(WHERE[0], "note", WHERE[1], fields))
    return list(found.values())


def test_without_a_record_nothing_is_claimed(tmp_path: Path) -> None:
    assert due(tmp_path, Field("mode", "644", "600")) == [Cause("unknown")]


def test_what_a_run_left_decides(tmp_path: Path) -> None:
    first = run(tmp_path, 1, changed(("mode", None, "644"), ("sha256", None, "aa")))
    last = run(tmp_path, 2, OK)
    assert due(
        tmp_path,
        Field("mode", "644", "600"),
        Field("sha256", "bb", "aa"),
    ) == [Cause("host", last), Cause("declared", first)]
    assert due(tmp_path, Field("sha256", "bb", "cc")) == [Cause("both", first)]


def test_the_newest_record_of_a_field_counts_and_checks_do_not(tmp_path: Path) -> None:
    run(tmp_path, 1, changed(("mode", None, "644")))
    second = run(tmp_path, 2, changed(("mode", "644", "600")))
    run(tmp_path, 3, changed(("mode", "600", "777")), check=True)
    assert due(tmp_path, Field("mode", "644", "600")) == [Cause("declared", second)]


def test_the_same_settings_declare_the_same(tmp_path: Path) -> None:
    last = run(tmp_path, 1, OK)
    assert due(tmp_path, Field("mode", "644", "600")) == [Cause("host", last)]


def test_other_settings_may_declare_something_else(tmp_path: Path) -> None:
    last = run(tmp_path, 1, OK, text="another")
    assert due(tmp_path, Field("mode", "644", "600")) == [Cause("unknown", last)]
    record = read_record(tmp_path, [WHERE], {"gpu-1": "~"})
    (setting,) = changed_settings(record, NOW, "gpu-1", last)
    assert (setting.name, setting.was, setting.now) == ("note.text", "another", "one")


def test_a_secret_is_never_compared(tmp_path: Path) -> None:
    last = run(tmp_path, 1, changed(("sha256", None, MASK)))
    assert due(tmp_path, Field("sha256", MASK, MASK)) == [Cause("unknown", last)]


def test_a_resource_that_its_roles_last_run_did_not_have_is_new(tmp_path: Path) -> None:
    last = run(tmp_path, 1, ResourceDone("gpu-1", "note", "file:/etc/other", "ok"))
    assert due(tmp_path, Field("type", "file", "absent")) == [Cause("new", last)]


def test_what_stop_has_not_declared_may_follow_from_it(tmp_path: Path) -> None:
    run(tmp_path, 1, changed(("state", None, "running"), ("ready", None, "yes")))
    stop = run(tmp_path, 2, changed(("state", "running", "stopped")), task="stop")
    assert due(tmp_path, Field("state", "running", "stopped"), Field("ready", "yes", "no")) == [
        Cause("declared", stop),
        Cause("unknown", stop),
    ]


def begun(*fields: tuple[str, str | None, str | None]) -> Applying:
    return Applying("gpu-1", "note", WHERE[1], tuple(Change(*field) for field in fields))


def test_a_run_that_was_stopped_may_have_changed_what_it_was_at(tmp_path: Path) -> None:
    run(tmp_path, 1, changed(("state", "running", "stopped")), task="stop")
    cut = run(tmp_path, 2, begun(("state", "stopped", "running")))
    now = [Field("state", "running", value) for value in ("stopped", "unsupervised")]
    assert due(tmp_path, now[0]) == [Cause("declared", cut)]  # it never came so far
    (found,) = due(tmp_path, now[1])
    assert found.due == "host"


def test_what_a_stopped_run_was_at_and_a_later_one_found_done_was_done(tmp_path: Path) -> None:
    run(tmp_path, 1, changed(("state", "running", "stopped")), task="stop")
    run(tmp_path, 2, begun(("state", "stopped", "running")))
    last = run(tmp_path, 3, changed(("ready", "no", "yes")))
    for now in ("stopped", "unsupervised"):
        assert due(tmp_path, Field("state", "running", now)) == [Cause("host", last)]


def test_what_destroy_removed_and_nobody_has_made_since(tmp_path: Path) -> None:
    run(tmp_path, 1, changed(("type", None, "file")))
    destroyed = run(tmp_path, 2, changed(("removed", "no", "yes"), role="destroy"), task="destroy")
    gone = Field("type", "file", "absent")
    assert due(tmp_path, gone) == [Cause("declared", destroyed)]
    again = run(tmp_path, 3, changed(("type", None, "file")))
    assert due(tmp_path, gone) == [Cause("host", again)]


def test_a_run_on_another_deployment_of_the_host_is_passed_over(tmp_path: Path) -> None:
    run(tmp_path, 1, OK, home="/elsewhere")
    assert due(tmp_path, Field("mode", "644", "600")) == [Cause("unknown")]


def test_on_a_cluster_the_owner_tells(tmp_path: Path) -> None:
    last = run(tmp_path, 1, OK, text="another")
    by_kubectl = Field("spec.replicas", "1", "3", by="kubectl")
    by_us = Field("spec.replicas", "2", "1", ours=True)
    assert due(tmp_path, by_kubectl, by_us) == [Cause("host", last), Cause("declared", last)]


@pytest.mark.parametrize("line", ["", "{", '{"event": "resource"', "null\n"])
def test_a_log_cut_by_a_crash_is_read_as_far_as_it_goes(tmp_path: Path, line: str) -> None:
    last = run(tmp_path, 1, changed(("mode", None, "644")))
    with (tmp_path / f"{last.id}.jsonl").open("a") as log:
        log.write(line)
    assert due(tmp_path, Field("mode", "644", "600")) == [Cause("host", last)]


def test_an_empty_record_is_one() -> None:
    assert Record().proven == {}
