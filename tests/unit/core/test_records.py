import json
from dataclasses import replace

import pytest

from rolecall import journal
from rolecall.facts import Facts, FactsCache
from rolecall.lock import LockHolder, locked_error
from rolecall.progress import parse_progress
from rolecall.resource import Observed, Removal

FACTS = Facts(
    hostname="h",
    user="u",
    uid=1000,
    home="/home/u",
    state_dir="/home/u/.rolecall",
    os_id="debian",
    os_version="12",
    arch="x86_64",
    cpus=2,
    memory_mib=2048,
    libc="glibc 2.36",
    init="none",
    package_manager="apt",
    sudo=True,
    python="/usr/bin/python3",
    python_version="3.11.7",
    python_venv=True,
)


def record(state, id_, run="r1", **more):
    return json.dumps({"at": "t", "run": run, "state": state, "id": id_, **more})


UNDO = {"gone": "[ ! -e /a ]", "script": "rm /a", "sudo": False}


def test_a_journal_is_read_line_by_line():
    (entry,) = journal.read([record("begin", "file:/a", changes=[["type", None, "file"]])])
    assert entry == journal.Entry("t", "r1", "begin", "file:/a", (("type", None, "file"),))


@pytest.mark.parametrize(
    "line",
    [
        *("", "{", record("begin", "x")[:-1], "null", "[]", "3", '{"at": "t"}', '"text"'),
        record("begin", "x", removal={"unknown": 1}),
        record("begin", "x", changes=[["one"]]),
    ],
)
def test_a_line_that_is_no_record_is_left_out(line):
    entries = journal.read([record("begin", "a"), line, record("done", "b")])
    assert [entry.id for entry in entries] == ["a", "b"]


def test_creations_are_found_once_each_in_the_order_of_their_last():
    lines = [
        record("begin", "b", removal=UNDO),
        record("done", "b"),
        record("begin", "plain"),
        record("begin", "a", removal=UNDO),
        record("begin", "b", run="r2", removal=UNDO),
    ]
    assert journal.created(journal.read(lines)) == [("a", Removal(**UNDO)), ("b", Removal(**UNDO))]


def test_the_last_change_is_the_last_that_was_proven():
    lines = [
        record("begin", "a", run="r1", changes=[["v", "1", "2"]]),
        record("done", "a", run="r1"),
        record("begin", "a", run="r2", changes=[["v", "2", "3"]]),
        record("begin", "b", run="r3"),
        record("done", "b", run="r3"),
    ]
    last = journal.last_change(journal.read(lines), "a")
    assert last is not None and (last.run, last.changes) == ("r1", (("v", "1", "2"),))
    assert journal.last_change(journal.read(lines), "c") is None


def test_facts_are_remembered_by_host_and_home(tmp_path):
    cache = FactsCache(tmp_path / "facts")
    assert cache.load("h", "/a") is None
    cache.save("h", "/a", FACTS)
    cache.save("h/../x", "/a", replace(FACTS, cpus=4))
    assert cache.load("h", "/a") == FACTS
    assert cache.load("h/../x", "/a") == replace(FACTS, cpus=4)
    assert cache.load("h", "/b") is None
    assert {path.parent for path in tmp_path.rglob("*.*")} == {tmp_path / "facts"}
    assert len(list((tmp_path / "facts").iterdir())) == 2, "nothing is left beside them"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"hostname": "h"}', '{"unknown": 1}', "\x00"])
def test_a_memory_that_cannot_be_read_is_none(tmp_path, text):
    cache = FactsCache(tmp_path)
    cache.save("h", "/a", FACTS)
    next(tmp_path.iterdir()).write_text(text)
    assert cache.load("h", "/a") is None


def test_facts_that_cannot_be_remembered_are_asked_again(tmp_path):
    (tmp_path / "file").touch()
    cache = FactsCache(tmp_path / "file" / "below")
    cache.save("h", "/a", FACTS)
    assert cache.load("h", "/a") is None


def test_facts_are_read_from_an_answer_however_little_it_says():
    facts = Facts.parse(Observed.parse("hostname=h\nuid=0\npython_version=3.11.7"))
    assert facts.is_root and facts.python_release == (3, 11)
    assert not Facts.parse(Observed.parse("")).is_root
    assert Facts.parse(Observed.parse("")).python_release == (0, 0)


def test_the_facts_that_roles_bring_are_remembered_with_the_others(tmp_path):
    facts = Facts.parse(Observed.parse("hostname=h"), Observed.parse("a=1\nb=x\\ny\nnoise"))
    assert facts.extra == {"a": "1", "b": "x\ny"}
    cache = FactsCache(tmp_path)
    cache.save("h", "/a", facts)
    assert cache.load("h", "/a") == facts
    assert replace(facts, extra={"a": "1"}) != facts


def test_a_lock_tells_who_holds_it():
    text = "boot:12:345 1700000000 20231114-221320-abcd boot:4:56:789 someone@some host"
    assert LockHolder.parse(text + "\n") == LockHolder(
        "boot:12:345", 1700000000.0, "20231114-221320-abcd", "boot:4:56:789", "someone@some host"
    )
    error = locked_error("web", text)
    assert "web is locked by someone@some host: run 20231114-221320-abcd, since" in error.message
    assert "--lock-wait" in error.hint
    assert error.exit_code == 1


@pytest.mark.parametrize("text", ["", "x", "a b c d e", "a 1 c d"])
def test_what_is_no_lock_of_ours_is_nobodys(text):
    assert LockHolder.parse(text) is None
    assert "another run" in locked_error("web", text).message


def test_a_progress_line_tells_how_far():
    line = parse_progress('::progress {"label": "x", "done": 3, "total": 9, "unit": "B"}')
    assert line is not None
    assert (line.label, line.done, line.total, line.unit) == ("x", 3.0, 9.0, "B")
    assert parse_progress('::progress {"done": 1}').total == 0


@pytest.mark.parametrize(
    "rest",
    [
        *("", "{", "[]", "3", "{}", '{"done": "x"}', '{"done": null}', '{"done": []}'),
        '{"done": NaN}',
        '{"done": 1, "total": Infinity}',
        '{"done": 1' + "0" * 400 + "}",
    ],
)
def test_what_is_no_progress_is_output(rest):
    assert parse_progress(f"::progress {rest}") is None
    assert parse_progress("progress {}") is None
