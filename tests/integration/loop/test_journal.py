import json
import subprocess

import pytest

from rolecall import journal
from rolecall.destroy import removals
from rolecall.resource import Observed, Removal, Script
from rolecall.resources.directory import Directory
from rolecall.resources.file import File
from rolecall.resources.symlink import Symlink
from tests.integration.loop.acts import Act, makes
from tests.support import converge


def records(home):
    return [json.loads(line) for line in (home / "journal").read_text().splitlines() if line]


def test_a_change_is_noted_before_it_is_made_and_after_it_is_proven(tmp_path, home, shell):
    path = home / "journal"
    act = makes(tmp_path / "a", also=f"cp '{path}' '{tmp_path}/during'")
    converge([act], home, shell=shell)
    during = [json.loads(line) for line in (tmp_path / "during").read_text().splitlines()]
    assert [(record["state"], record["id"]) for record in during] == [("begin", act.id)]
    assert during[0]["changes"] == [["done", "no", "yes"]]
    assert [record["state"] for record in records(home)] == ["begin", "done"]
    assert {record["run"] for record in records(home)} == {records(home)[0]["run"]}


def test_a_failed_change_is_begun_and_never_done(tmp_path, home, shell):
    converge([Act("a", "echo done=no", "exit 1")], home, shell=shell)
    assert [record["state"] for record in records(home)] == ["begin"]


def test_a_run_without_changes_writes_no_record(tmp_path, home, shell):
    converge([makes(tmp_path / "a")], home, shell=shell)
    before = (home / "journal").read_bytes()
    converge([makes(tmp_path / "a")], home, shell=shell)
    assert (home / "journal").read_bytes() == before


@pytest.mark.parametrize("value", ['"', "\\", "a\nb", "\t", "é", "'", "%s%n", "\x01", "$(x)"])
def test_any_value_is_one_line_of_json(tmp_path, home, shell, value):
    (tmp_path / "v").write_text(value)
    act = Act(
        value,
        f"rc_field v \"$(cat '{tmp_path}/v')\"",
        f"printf new >'{tmp_path}/v'",
        {"v": "new"},
    )
    run = converge([act], home, shell=shell)
    assert run.outcomes == {act.id: "changed"}
    begin, done = records(home)
    assert begin["id"] == done["id"] == act.id
    assert begin["changes"] == [["v", value, "new"]]


def test_a_record_cut_short_harms_no_other(tmp_path, home, shell):
    first, second = makes(tmp_path / "a"), makes(tmp_path / "b")
    converge([first], home, shell=shell)
    whole = (home / "journal").read_text()
    (home / "journal").write_text(whole + whole.splitlines()[0][:40])
    converge([first, second], home, shell=shell)
    entries = journal.read((home / "journal").read_text().splitlines())
    assert [(entry.state, entry.id) for entry in entries] == [
        ("begin", first.id),
        ("done", first.id),
        ("begin", second.id),
        ("done", second.id),
    ]


def test_destroy_removes_what_was_created_and_leaves_what_was_there(tmp_path, home, shell):
    root = tmp_path / "root"
    root.mkdir()
    (root / "old").write_text("before")
    new, old = File(f"{root}/new/file", "x"), File(f"{root}/old", "after")
    resources = [Directory(str(root)), Directory(f"{root}/new"), new, old]
    converge(resources, home, shell=shell)
    entries = journal.read((home / "journal").read_text().splitlines())
    undo = [resource for _, resource in removals(entries) if str(root) in resource.id]
    assert [resource.id for resource in undo] == [new.id, f"directory:{root}/new"], "newest first"
    run = converge(undo, home, shell=shell)
    assert set(run.outcomes.values()) == {"changed"}
    assert [path.name for path in root.iterdir()] == ["old"]
    again = converge(undo, home, shell=shell)
    assert (set(again.outcomes.values()), again.exchanges) == ({"ok"}, 1)


def test_a_creation_that_was_cut_off_is_removed_too(tmp_path, home, shell):
    part = tmp_path / "part"
    undo = Removal(f"[ ! -e '{part}' ]", f"rm -f '{part}'")
    act = Act("part", "echo done=no", f": >'{part}'; kill -9 $$; exit 1", undo=undo)
    assert converge([act], home, shell=shell).done["host"].outcome == "unreachable"
    entries = journal.read((home / "journal").read_text().splitlines())
    converge([resource for _, resource in removals(entries)], home, shell=shell)
    assert not part.exists()


def test_a_folder_that_destroy_cannot_remove_is_told_with_what_is_in_it(tmp_path, home, shell):
    folder = Directory(f"{tmp_path}/folder")
    converge([folder], home, shell=shell)
    (tmp_path / "folder" / "notes of mine").touch()
    entries = journal.read((home / "journal").read_text().splitlines())
    (undo,) = [resource for _, resource in removals(entries) if resource.id == folder.id]
    reason = converge([undo], home, shell=shell).reason(undo)
    assert reason.rstrip().endswith("still in it:\nnotes of mine")


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_a_killed_write_left_beside_its_place_is_removed_too(tmp_path, home, shell, kind):
    root = tmp_path / "root"
    path = f"{root}/it"
    made = File(path, "x") if kind == "file" else Symlink(path, "x")
    apply = made.apply(Observed.parse("type=absent"))
    assert isinstance(apply, Script)
    before, _, _ = apply.text.partition("\nmv ")
    killed = Act(
        "it",
        "echo done=no",
        Script(f"{before}\ntrap - EXIT\nkill -9 $$; exit 1"),
        undo=made.removal(Observed.parse("type=absent")),
    )
    run = converge([Directory(str(root)), killed], home, shell=shell)
    assert run.done["host"].outcome == "unreachable"
    assert [new for new in root.iterdir() if new.name != "it"]
    entries = journal.read((home / "journal").read_text().splitlines())
    undo = [resource for _, resource in removals(entries)]
    assert "failed" not in converge(undo, home, shell=shell).outcomes.values()
    assert not root.exists()


def test_the_journal_is_readable_to_its_owner_alone(tmp_path, home, shell):
    converge([makes(tmp_path / "a")], home, shell=shell)
    mode = subprocess.run(["stat", "-c", "%a", home], capture_output=True, text=True, check=True)
    assert mode.stdout.strip() == "700"


def test_a_change_that_cannot_be_noted_is_not_made(tmp_path, home, shell):
    (home / "journal").mkdir(parents=True)
    act = makes(tmp_path / "a")
    run = converge([act], home, shell=shell)
    assert run.done["host"].outcome == "failed"
    assert f"Rolecall's own directory {home} cannot be written" in run.done["host"].reason
    assert "irectory" in run.done["host"].reason.partition("written")[2], "the shell's own words"
    assert not (tmp_path / "a").exists()
