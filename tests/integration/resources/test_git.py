import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rolecall.errors import ConfigError
from rolecall.resources.git import MARKER, GitCheckout
from tests.support import (
    SHELLS,
    assert_contract,
    converge,
    converge_killed,
    destroy,
    find_shell,
    settled,
    tree_digest,
)

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")


def git(folder: Path, *args: str) -> str:
    who = ["-c", "user.name=T", "-c", "user.email=t@example.org"]
    done = subprocess.run(
        ["git", "-C", folder, *who, *args], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


class Origin:
    """A repository with two commits on its branch, `first` and `second`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.url = f"file://{folder}"
        git(folder, "init", "-q", "-b", "main")
        self.first = self.commit({"a": "one\n", "dir/b": "one\n"})
        self.second = self.commit({"a": "two\n", "new": "two\n"})

    def commit(self, files: dict[str, str]) -> str:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
        git(self.folder, "add", "-A")
        git(self.folder, "commit", "-q", "-m", "x")
        return git(self.folder, "rev-parse", "HEAD")


@pytest.fixture
def origin(tmp_path):
    return Origin(tmp_path / "origin of 'it'")


@pytest.mark.parametrize("shell", SHELLS[:2])
def test_a_commit_is_checked_out_moved_and_removed(tmp_path, origin, shell):
    shell, home, path = find_shell(shell, tmp_path), tmp_path / "home", tmp_path / "co $(x)"
    checkout = GitCheckout(str(path), origin.url, origin.first)
    assert_contract([checkout], home, shell)
    assert (path / "a").read_text() == "one\n"
    moved = GitCheckout(str(path), origin.url, origin.second)
    result = assert_contract([moved], home, shell)
    (change,) = result.done[moved.id].changes
    assert (change.before, change.after) == (origin.first, origin.second)
    assert (path / "new").read_text() == "two\n"
    assert_contract([checkout], home, shell)
    assert not (path / "new").exists()
    destroy(checkout, home)
    assert not path.exists()
    assert sorted(item.name for item in tmp_path.iterdir() if item.name.startswith(".")) == []


def test_a_server_that_refuses_single_commits_is_asked_for_all(tmp_path, origin, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "protocol.version")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "0")
    checkout = GitCheckout(str(tmp_path / "co"), origin.url, origin.first)
    result = assert_contract([checkout], tmp_path / "home")
    assert any("fetching all branches" in line for line in result.output)
    back = GitCheckout(str(tmp_path / "co"), origin.url, origin.second)
    assert_contract([back], tmp_path / "home")


def test_a_repository_above_is_not_mistaken_for_this_one(tmp_path, origin):
    path = origin.folder / "inside"
    path.mkdir()
    checkout = GitCheckout(str(path), origin.url, origin.first)
    assert_contract([checkout], tmp_path / "home")


def test_local_changes_are_kept_unless_forced(tmp_path, origin):
    path, home = tmp_path / "co", tmp_path / "home"
    checkout = GitCheckout(str(path), origin.url, origin.first)
    converge([checkout], home)
    (path / "a").write_text("mine\n")
    for check in (True, False):
        refused = converge([checkout], home, check=check)
        assert refused.outcomes[checkout.id] == "failed"
        assert "M a" in refused.reason(checkout) and "force=True" in refused.reason(checkout)
    assert (path / "a").read_text() == "mine\n"
    assert_contract([GitCheckout(str(path), origin.url, origin.first, force=True)], home)
    assert (path / "a").read_text() == "one\n"


def test_untracked_files_in_the_way_are_not_overwritten(tmp_path, origin):
    path, home = tmp_path / "co", tmp_path / "home"
    converge([GitCheckout(str(path), origin.url, origin.first)], home)
    (path / "new").write_text("mine\n")
    moved = GitCheckout(str(path), origin.url, origin.second)
    result = converge([moved], home)
    assert "in the way" in result.reason(moved)
    assert (path / "new").read_text() == "mine\n"
    (path / "new").unlink()
    assert_contract([moved], home)


def test_something_else_at_the_path_is_refused(tmp_path, origin):
    path = tmp_path / "co"
    path.mkdir()
    (path / "precious").write_text("x")
    checkout = GitCheckout(str(path), origin.url, origin.first)
    result = converge([checkout], tmp_path / "home", check=True)
    assert result.outcomes[checkout.id] == "failed"
    assert "not a usable git checkout" in result.reason(checkout)


def test_a_move_killed_half_way_is_seen_and_finished(tmp_path, origin):
    path, home = tmp_path / "co", tmp_path / "home"
    converge([GitCheckout(str(path), origin.url, origin.first)], home)
    (path / ".git" / MARKER).write_text("")
    (path / ".git/index.lock").write_text("")
    (path / "a").write_text("two\n")
    checkout = GitCheckout(str(path), origin.url, origin.second)
    assert_contract([checkout], home)
    assert git(path, "status", "--porcelain") == ""


@pytest.mark.parametrize("folders", [(), ("dir",)])
def test_killed_at_any_moment_the_next_run_converges(tmp_path, origin, folders):
    git(origin.folder, "config", "uploadpack.allowFilter", "true")
    git(origin.folder, "config", "uploadpack.allowAnySHA1InWant", "true")
    place = "".join(f"{folder}/" for folder in folders)
    origin.commit({f"{place}big{i}": os.urandom(20000).hex() for i in range(40)})
    last = git(origin.folder, "rev-parse", "HEAD")
    home, path = tmp_path / "home", tmp_path / "co"
    moments = [
        lambda: any(tmp_path.glob(".rolecall-*-git")),
        lambda: any(tmp_path.glob(".rolecall-*-git/.git/objects/pack/*")),
        lambda: any(tmp_path.glob(f".rolecall-*-git/{place}big*")),
        lambda: (path / ".git" / MARKER).exists(),
    ]
    for wanted, moment in zip([last, last, last, origin.first], moments, strict=True):
        checkout = GitCheckout(str(path), origin.url, wanted, folders=folders)
        converge_killed([checkout], home, moment)
        after = converge([checkout], home)
        assert after.outcomes.get(checkout.id) in {"ok", "changed"}, after.text
        settled([checkout], home)
        assert git(path, "rev-parse", "HEAD") == wanted


def test_looking_writes_nothing(tmp_path, origin):
    path, home = tmp_path / "co", tmp_path / "home"
    checkout = GitCheckout(str(path), origin.url, origin.first)
    converge([checkout], home)
    os.utime(path / "a")
    before = tree_digest(path, home)
    converge([checkout], home, check=True)
    assert tree_digest(path, home) == before


def test_a_commit_that_is_not_there_fails_with_the_reason(tmp_path, origin):
    checkout = GitCheckout(str(tmp_path / "co"), origin.url, "0" * 40)
    result = converge([checkout], tmp_path / "home")
    assert "is on no branch or tag of the repository" in result.reason(checkout)
    gone = GitCheckout(str(tmp_path / "co"), f"file://{tmp_path}/nowhere", "0" * 40)
    result = converge([gone], tmp_path / "home")
    assert "cannot be read" in result.reason(gone)
    assert not (tmp_path / "co").exists()


def test_hooks_of_the_surroundings_do_not_run(tmp_path, origin, monkeypatch):
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    hook = hooks / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.hooksPath")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(hooks))
    monkeypatch.setenv("GIT_DIR", str(origin.folder / ".git"))
    assert_contract(
        [GitCheckout(str(tmp_path / "co"), origin.url, origin.first)], tmp_path / "home"
    )
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("partial", [True, False])
@pytest.mark.parametrize("shell", SHELLS[:2])
def test_only_the_folders_that_are_wanted_are_there(tmp_path, origin, shell, partial):
    shell, home, path = find_shell(shell, tmp_path), tmp_path / "home", tmp_path / "co $(x)"
    git(origin.folder, "config", "uploadpack.allowFilter", str(partial).lower())
    git(origin.folder, "config", "uploadpack.allowAnySHA1InWant", str(partial).lower())
    wanted = origin.commit({"dir/b": "three\n", "my other/c": "c\n"})
    checkout = GitCheckout(str(path), origin.url, wanted, folders=("dir", "my other"))
    assert_contract([checkout], home, shell)
    there = {str(found.relative_to(path)) for found in path.rglob("*") if found.is_file()}
    assert {name for name in there if not name.startswith(".git/")} == {"dir/b", "my other/c"}
    unwanted = git(origin.folder, "rev-parse", f"{wanted}:a")
    objects = git(path, "rev-list", "--objects", "--missing=print", wanted)
    assert (f"?{unwanted}" in objects) == partial
    # Another commit, other folders, and then all of it.
    for folders, files in (
        (("dir",), {"dir/b"}),
        ((), {"a", "dir/b", "new"}),
        (("dir",), {"dir/b"}),
    ):
        moved = GitCheckout(str(path), origin.url, origin.second, folders=folders)
        result = converge([moved], home, shell=shell)
        assert result.outcomes[moved.id] == "changed", result.why(moved.id)
        there = {str(found.relative_to(path)) for found in path.rglob("*") if found.is_file()}
        assert {name for name in there if not name.startswith(".git/")} == files
        settled([moved], home, shell)
    destroy(checkout, home)
    assert not path.exists()


@pytest.mark.parametrize("folder", ["/etc", "../x", "a/../b", "a*", "", "a\nb", "!a", "a/"])
def test_a_folder_is_a_plain_path_inside(folder):
    with pytest.raises(ConfigError, match="is not a folder of a repository"):
        GitCheckout("/srv/x", "https://example.org/x.git", "0" * 40, folders=(folder,))
