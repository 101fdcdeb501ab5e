import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from rolecall.errors import ConfigError
from rolecall.resources.artifact import Artifact
from tests.support import assert_contract, converge, converge_killed, destroy, settled

BUILD = """
echo "$TEXT" >result
mkdir -p sub
printf data >sub/data
ln -s sub/data link
"""


def artifact(root, **how):
    given = {"inputs": (("model", "m1"),), "build": BUILD, "variables": (("TEXT", "hello"),), **how}
    return Artifact("engine", str(root), **given)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "artifacts"


def test_an_artifact_meets_the_contract(root, home, shell):
    built = artifact(root)
    assert_contract([built], home, shell)
    assert Path(built.path, "result").read_text() == "hello\n"
    assert str((root / "engine" / "current").readlink()) == built.digest


def test_the_manifest_tells_what_was_built_from_what(root, home, shell):
    base = Artifact("base", str(root), (("source", "s1"),), "echo base >base")
    built = artifact(root, uses=(base,), build='cat "$USES_BASE/base" >result')
    converge([base, built], home, shell=shell)
    manifest = json.loads(Path(built.path, ".rolecall/manifest.json").read_text())
    assert manifest["artifact"] == "engine"
    assert manifest["digest"] == built.digest
    assert manifest["inputs"] == built.all_inputs
    assert manifest["uses"]["base"]["digest"] == base.digest
    files = Path(base.path, ".rolecall/files").read_bytes()
    assert manifest["uses"]["base"]["files_sha256"] == hashlib.sha256(files).hexdigest()
    assert isinstance(manifest["seconds"], int)
    (output,) = manifest["outputs"]
    assert output == {
        "path": "result",
        "size": 5,
        "sha256": hashlib.sha256(b"base\n").hexdigest(),
    }


NAMES = [
    'quo"te',
    "back\\slash",
    "a b",
    " leads",
    "trails ",
    "tab\there",
    "é",
    "'",
    "$x",
    "./-n",
    "\x01",
]


def test_hostile_names_are_built_recorded_and_found_whole(root, home, shell):
    names = "\n".join(f"printf x >'./{name}'" for name in NAMES if name != "'")
    built = artifact(root, build=f'{names}\nprintf x >"./\'"')
    assert_contract([built], home, shell)
    manifest = json.loads(Path(built.path, ".rolecall/manifest.json").read_text())
    recorded = {output["path"] for output in manifest["outputs"]}
    plain = {name.removeprefix("./") for name in NAMES}
    assert recorded == {name.replace("\t", "?").replace("\x01", "?") for name in plain}
    assert {output["sha256"] for output in manifest["outputs"]} == {
        hashlib.sha256(b"x").hexdigest()
    }


def test_a_name_with_a_newline_is_refused(root, home, shell):
    built = artifact(root, build="printf x >'a\nb'")
    run = converge([built], home, shell=shell)
    assert run.done[built.id].outcome == "failed"
    assert "newline in its name" in run.reason(built)
    assert not Path(built.path).exists()


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": (("model", "m2"),)},
        {"inputs": (("model", "m1"), ("flag", ""))},
        {"build": BUILD + "\n"},
        {"uses": (Artifact("base", "/srv", (), ":"),)},
        {"title": "other"},
    ],
)
def test_every_input_is_part_of_the_address(change):
    assert replace(artifact("/a"), **change).digest != artifact("/a").digest


def test_neither_paths_nor_variables_are_part_of_the_address():
    assert artifact("/a").digest == artifact("/b", variables=(("TEXT", "bye"),)).digest
    one, other = (artifact("/a", uses=(Artifact("base", root, (), ":"),)) for root in ("/x", "/y"))
    assert one.digest == other.digest


def test_a_changed_input_of_a_used_artifact_changes_the_address():
    one, other = (artifact("/a", uses=(Artifact("base", "/a", (("s", s),), ":"),)) for s in "12")
    assert one.digest != other.digest


@pytest.mark.parametrize("title", ["", "a/b", "..", "-x", "a b", "a\nb", ".hidden"])
def test_a_title_that_is_no_folder_name_is_refused(title):
    with pytest.raises(ConfigError, match="cannot be the name of a folder"):
        Artifact(title, "/a", (), ":")


def test_the_old_version_stays_and_going_back_builds_nothing(root, home, shell):
    old, new = artifact(root), artifact(root, inputs=(("model", "m2"),))
    converge([old], home, shell=shell)
    run = converge([new], home, shell=shell)
    changes = {change.field: (change.before, change.after) for change in run.done[new.id].changes}
    assert changes["input.model"] == ("m1", "m2")
    assert changes["current"] == (old.digest, new.digest)
    assert "input.build" not in changes, "only what differs"
    assert Path(old.path, "result").exists()
    back = converge([old], home, shell=shell)
    assert back.outcomes == {old.id: "changed"}
    assert not (home / "jobs" / f"engine-{old.digest}" / "log.1").exists(), "no second build"
    settled([old], home, shell)


@pytest.mark.parametrize(
    "build", ["false\necho on >result", "echo part >result; exit 3", "nonsense-x"]
)
def test_a_build_that_fails_leaves_nothing_that_counts(root, home, shell, build):
    built = artifact(root, build=build)
    run = converge([built], home, shell=shell)
    assert run.done[built.id].outcome == "failed"
    assert not Path(built.path).exists()
    assert not (root / "engine" / "current").is_symlink()


def test_an_interrupted_build_is_never_taken_for_a_finished_one(tmp_path, root, home):
    slow = artifact(
        root, build=f"echo part >result; : >'{tmp_path}/begun'; sleep 0.5; echo more >>result"
    )
    assert converge_killed([slow], home, (tmp_path / "begun").exists)
    assert not Path(slow.path).exists()
    assert converge([slow], home, check=True).outcomes == {slow.id: "would change"}
    assert converge([slow], home).outcomes == {slow.id: "changed"}
    assert Path(slow.path, "result").read_text() == "part\nmore\n"
    assert [path.name for path in (root / "engine").glob(".*")] == []
    settled([slow], home)


def grow(path):
    with open(path / "result", "a") as file:
        file.write("x")


DAMAGES = {
    "size": grow,
    "time": lambda path: os.utime(path / "result", (1, 1)),
    "missing": lambda path: (path / "sub/data").unlink(),
    "extra": lambda path: (path / "extra").touch(),
    "link": lambda path: (path / "link").unlink(),
    "manifest": lambda path: shutil.rmtree(path / ".rolecall"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_seen_and_repaired(root, home, shell, damage):
    built = artifact(root)
    converge([built], home, shell=shell)
    DAMAGES[damage](Path(built.path))
    assert converge([built], home, check=True, shell=shell).outcomes == {built.id: "would change"}
    assert converge([built], home, shell=shell).outcomes == {built.id: "changed"}
    assert Path(built.path, "result").read_text() == "hello\n"
    assert sorted(path.name for path in (root / "engine").iterdir()) == sorted(
        [built.digest, "current"]
    )
    settled([built], home, shell)


def test_destroy_takes_the_artifact_and_its_link(root, home, shell):
    built = artifact(root)
    converge([built], home, shell=shell)
    destroy(built, home)
    assert not root.exists()


def test_destroy_leaves_another_version(root, home, shell):
    old, new = artifact(root), artifact(root, inputs=(("model", "m2"),))
    converge([old], home, shell=shell)
    converge([new], home, shell=shell)
    destroy(new, home)
    assert not Path(new.path).exists()
    assert not (root / "engine" / "current").is_symlink(), "it would lead nowhere"
    assert Path(old.path, "result").exists()
