"""What is made from the code is of today's code."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest

import tasks
from tests.docs.blocks import ROOT
from tools.reference import events, record, settings


def test_the_references_are_current():
    done = subprocess.run(
        [sys.executable, "-m", "tools.reference", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", events.kinds(), ids=lambda kind: kind.event)
def test_the_example_of_an_event_has_the_fields_of_its_kind(kind):
    line = events.examples()[kind.event]
    fields = {one.name for one in dataclasses.fields(kind)}
    assert fields == set(line) - {"event", "at"}


def test_every_setting_has_a_text():
    for name, type_ in tasks.project.setting_types().items():
        for place, _, text, _ in settings.fields(name, type_):
            assert text, f"{place} has no text: write a string under the field"


def test_a_refusal_stands_with_its_setting():
    page = settings.page()
    assert "| `server.http_port` | number | `8000` | Port of the HTTP API. *At least 1" in page
    assert "`server`: … and … must be different ports" in page


def test_the_readme_names_every_task_but_the_roles():
    text = (ROOT / "README.md").read_text()
    for name in tasks.ns.task_names:
        assert name in tasks.ROLES or f"./inv {name}" in text or f"`{name}" in text, name


def test_a_recorded_line_is_shortened_and_names_nobodys_machine(tmp_path, monkeypatch):
    place = tmp_path / "events.jsonl"
    monkeypatch.setattr(record, "EXAMPLES", place)
    line = {"event": "run", "at": "…", "host": "", "by": "me@here", "hosts": list("abcd")}
    log = tmp_path / "run.jsonl"
    kinds = [*(kind.event for kind in events.kinds()), "recap"]
    rest = [{"event": name, "changes": [], "path": "/home/me/x"} for name in kinds if name != "run"]
    log.write_text("".join(json.dumps(one) + "\n" for one in [line, *rest]))
    record.main(["/home/me=/home/joe", str(log)])
    said = [json.loads(one) for one in place.read_text().splitlines()]
    assert [one["event"] for one in said] == kinds
    assert said[0]["by"] == "joe@desk" and said[0]["hosts"] == ["a", "b", "c"]
    assert said[1]["path"] == "/home/joe/x"


def test_a_kind_of_event_without_a_line_is_named(tmp_path):
    (tmp_path / "run.jsonl").write_text('{"event": "recap"}\n')
    with pytest.raises(SystemExit, match="none of these runs has: run, "):
        record.main([str(tmp_path / "run.jsonl")])
