"""Uploads: atomic, resumed, skipped, and of any name."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from rolecall.errors import RolecallError, UnreachableError
from rolecall.targets.ssh import SshTarget
from tests.property.strategies import names
from tests.rig.sshd import Sshd


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(os.urandom(1 << 16) * 64)
    return path


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def parts(folder: Path) -> list[Path]:
    return sorted(folder.glob(".rolecall-*"))


def test_a_file_arrives_with_its_mode_and_leaves_nothing_beside_it(
    sshd: Sshd, tmp_path: Path, source: Path
) -> None:
    target, there = sshd.target(), tmp_path / "there"
    target.upload(source, str(there), "640")
    target.disconnect()
    assert there.read_bytes() == source.read_bytes()
    assert mode(there) == 0o640
    assert parts(tmp_path) == []


def test_the_same_content_is_not_sent_again_and_its_mode_is_set(
    sshd: Sshd, tmp_path: Path, source: Path
) -> None:
    target, there = sshd.target(), tmp_path / "there"
    target.upload(source, str(there), "640")
    before = there.stat()
    target.upload(source, str(there), "755")
    target.disconnect()
    after = there.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert mode(there) == 0o755


def test_a_reader_sees_the_old_content_or_the_new(sshd: Sshd, tmp_path: Path, source: Path) -> None:
    target, there = sshd.target(), tmp_path / "there"
    there.write_bytes(b"old")
    seen: set[int] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.add(len(there.read_bytes()))

    thread = threading.Thread(target=look)
    thread.start()
    target.upload(source, str(there), "600")
    stop.set()
    thread.join()
    target.disconnect()
    assert seen <= {3, source.stat().st_size}


def test_a_transfer_that_was_cut_goes_on_where_it_stopped(own_sshd: Sshd, tmp_path: Path) -> None:
    source, there = tmp_path / "source", tmp_path / "there"
    source.write_bytes(os.urandom(1 << 20) * 48)
    caught: list[Exception] = []

    def send() -> None:
        try:
            own_sshd.target().upload(source, str(there), "600")
        except RolecallError as error:
            caught.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    while not parts(tmp_path) or parts(tmp_path)[0].stat().st_size < 1 << 20:
        time.sleep(0.002)
    own_sshd.cut()
    thread.join(20)
    assert isinstance(caught[0], UnreachableError)
    assert not there.exists()
    (part,) = parts(tmp_path)
    time.sleep(0.2)  # cat has written what had arrived
    stopped, inode = part.stat().st_size, part.stat().st_ino
    assert 0 < stopped < source.stat().st_size
    sent: list[int] = []
    target = own_sshd.target()
    _count(target, sent)
    target.upload(source, str(there), "600")
    target.disconnect()
    assert sum(sent) == source.stat().st_size - stopped
    assert there.read_bytes() == source.read_bytes() and there.stat().st_ino == inode


def _count(target: SshTarget, sent: list[int]) -> None:
    send = target.send

    def counting(command, read):
        def reading(size: int) -> bytes:
            data = read(size)
            sent.append(len(data))
            return data

        send(command, reading)

    target.send = counting  # type: ignore[method-assign]


def test_a_damaged_part_is_noticed_and_the_next_upload_begins_anew(
    sshd: Sshd, tmp_path: Path, source: Path
) -> None:
    target, there = sshd.target(), tmp_path / "there"
    send = target.send
    target.send = lambda command, read: send(f"{command}; echo junk >>{part_of(command)}", read)
    with pytest.raises(RolecallError, match="arrived damaged"):
        target.upload(source, str(there), "600")
    assert not there.exists() and parts(tmp_path) == []
    target.send = send
    target.upload(source, str(there), "600")
    target.disconnect()
    assert there.read_bytes() == source.read_bytes()


def part_of(command: str) -> str:
    return command.partition(">>")[2]


def test_an_unfinished_transfer_of_other_content_is_not_continued(
    own_sshd: Sshd, tmp_path: Path, source: Path
) -> None:
    target, there = own_sshd.target(), tmp_path / "there"
    target.upload(source, str(there), "600")
    source.write_bytes(b"other")
    target.upload(source, str(there), "600")
    target.disconnect()
    assert there.read_bytes() == b"other"


def test_a_place_that_cannot_take_it_is_named(sshd: Sshd, tmp_path: Path, source: Path) -> None:
    target = sshd.target("gpu-1")
    (tmp_path / "folder").mkdir()
    with pytest.raises(RolecallError, match=r"on gpu-1: .*/folder is a directory"):
        target.upload(source, f"{tmp_path}/folder", "600")
    with pytest.raises(RolecallError, match=r"the directory .*/none does not exist"):
        target.upload(source, f"{tmp_path}/none/a", "600")
    with pytest.raises(RolecallError, match=r"cannot read .*/missing: No such file"):
        target.upload(tmp_path / "missing", f"{tmp_path}/a", "600")
    target.disconnect()


@pytest.mark.skipif(os.getuid() != 0, reason="keeping another owner needs root")
def test_the_owner_of_what_is_replaced_is_kept(sshd: Sshd, tmp_path: Path, source: Path) -> None:
    there = tmp_path / "there"
    there.write_text("old")
    os.chown(there, 12345, 54321)
    target = sshd.target()
    target.upload(source, str(there), "4750")
    target.disconnect()
    info = there.stat()
    assert (info.st_uid, info.st_gid, info.st_mode & 0o7777) == (12345, 54321, 0o4750)


def test_a_link_is_replaced_and_not_followed(sshd: Sshd, tmp_path: Path, source: Path) -> None:
    there, other = tmp_path / "there", tmp_path / "other"
    other.write_text("untouched")
    there.symlink_to(other)
    target = sshd.target()
    target.upload(source, str(there), "600")
    target.disconnect()
    assert not there.is_symlink() and there.read_bytes() == source.read_bytes()
    assert other.read_text() == "untouched"


def test_an_empty_file_and_the_longest_name(sshd: Sshd, tmp_path: Path) -> None:
    source, there = tmp_path / "source", tmp_path / ("n" * 255)
    source.write_bytes(b"")
    target = sshd.target()
    target.upload(source, str(there), "600")
    target.disconnect()
    assert there.read_bytes() == b""


def test_hostile_names_survive(sshd: Sshd, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"content")
    target = sshd.target()

    @settings(
        max_examples=15,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(names, names)
    def check(folder: str, name: str) -> None:
        (tmp_path / "room" / folder).mkdir(parents=True, exist_ok=True)
        there = tmp_path / "room" / folder / name
        target.upload(source, str(there), "600")
        assert there.read_bytes() == b"content"
        there.unlink()
        assert list(there.parent.iterdir()) == []

    check()
    target.disconnect()
    assert not Path("owned").exists()


def test_a_full_disk_says_so_and_the_rest_goes_on_later(sshd: Sshd, tmp_path: Path) -> None:
    """``ulimit -f`` stands in for a full disk: a write that does not fit fails."""
    source = tmp_path / "source"
    source.write_bytes(os.urandom(1 << 20))
    target, there = sshd.target(), tmp_path / "there"
    send = target.send
    target.send = lambda command, read: send(
        f"trap '' {signal.SIGXFSZ:d}; ulimit -f 512; {command}", read
    )
    with pytest.raises(RolecallError, match=r"File too large"):
        target.upload(source, str(there), "600")
    assert not there.exists()
    target.send = send
    target.upload(source, str(there), "600")
    target.disconnect()
    assert there.read_bytes() == source.read_bytes()
