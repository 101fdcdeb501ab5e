import os
import pwd
import subprocess

import pytest

from rolecall import journal
from rolecall.resource import Removal
from rolecall.resources.file import File
from tests.integration.loop.acts import makes
from tests.support import converge

is_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    mount = tmp_path / "small"
    mount.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mount], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    yield mount
    subprocess.run(["umount", mount], check=True)


def test_a_home_below_a_file_is_refused_with_a_way_out(tmp_path, shell):
    (tmp_path / "file").write_text("x")
    run = converge([makes(tmp_path / "a")], tmp_path / "file" / "home", shell=shell)
    said = run.done["host"]
    assert said.outcome == "failed"
    assert f"{tmp_path}/file/home cannot be written" in said.reason
    assert "Not a directory" in said.reason
    assert "rolecall.home" in said.hint
    assert not (tmp_path / "a").exists()


def test_a_home_that_is_read_only_is_refused_with_a_way_out(tmp_path, home, shell):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    home.mkdir(mode=0o500)
    said = converge([makes(tmp_path / "a")], home, shell=shell).done["host"]
    assert "cannot be written" in said.reason and "denied" in said.reason
    assert not (tmp_path / "a").exists()


@is_root
def test_a_full_disk_below_the_home_stops_the_run_before_the_change(tmp_path, small_disk, shell):
    home = small_disk / "home"
    first = makes(tmp_path / "a", also=f"cat /dev/zero >'{small_disk}/full' 2>/dev/null || :")
    undo = Removal(f"# {'x' * 9000}\n[ ! -e '{tmp_path}/b' ]", f"rm '{tmp_path}/b'")
    second = makes(tmp_path / "b", undo=undo)
    run = converge([first, second], home, shell=shell)
    assert run.done[first.id].outcome == "changed"
    assert run.done["host"].outcome == "failed"
    assert "No space left" in run.done["host"].reason
    assert not (tmp_path / "b").exists()
    (small_disk / "full").unlink()
    again = converge([first, second], home, shell=shell)
    assert again.outcomes == {first.id: "ok", second.id: "changed"}
    entries = journal.read((home / "journal").read_text().splitlines())
    assert journal.created(entries) == [(second.id, undo)], "the cut record hides no other"


@is_root
def test_a_disk_too_small_for_a_file_leaves_nothing_half_done(small_disk, home, shell):
    fits, big = File(f"{small_disk}/fits", "x"), File(f"{small_disk}/big", "x" * 200_000)
    run = converge([fits, big], home, shell=shell)
    assert run.outcomes == {fits.id: "changed", big.id: "failed"}
    assert "No space left" in run.reason(big)
    assert [path.name for path in small_disk.iterdir()] == ["fits"]


@pytest.fixture
def mine(tmp_path):
    """A folder of an ordinary user."""
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        pytest.skip("there is no user nobody")
    folder = tmp_path / "mine"
    folder.mkdir()
    for above in [folder, *folder.parents][:4]:
        above.chmod(above.stat().st_mode | 0o755)
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return folder


@pytest.fixture
def ordinary_shell(mine, tmp_path, shell):
    """A shell of the user to whom that folder belongs."""
    if "busybox" in shell:
        pytest.skip("busybox brings no setpriv")
    owner = mine.stat()
    wrapper = tmp_path / "as-nobody"
    wrapper.write_text(
        f"#!/bin/sh\nexec setpriv --reuid {owner.st_uid} --regid {owner.st_gid} "
        f"--clear-groups env HOME='{mine}' {shell}\n"
    )
    wrapper.chmod(0o755)
    return str(wrapper)


@is_root
def test_an_ordinary_user_converges_what_is_theirs(mine, ordinary_shell):
    resources = [File(f"{mine}/a", "x"), File("/etc/rolecall-test-forbidden", "x")]
    run = converge(resources, mine / "home", shell=ordinary_shell)
    assert list(run.outcomes.values()) == ["changed", "failed"]
    assert "ermission denied" in run.reason(resources[1])
    assert (mine / "a").stat().st_uid == mine.stat().st_uid


@is_root
def test_a_diff_does_not_take_what_only_root_can_read_for_nothing(mine, ordinary_shell):
    (mine / "a").write_text("x\n")
    (mine / "a").chmod(0o600)  # and root's
    run = converge(
        [File(f"{mine}/a", "y\n")], mine / "home", check=True, diff=True, shell=ordinary_shell
    )
    (shown,) = run.diffs
    assert shown.lines == ("(only root can read what is there: not shown)",)
