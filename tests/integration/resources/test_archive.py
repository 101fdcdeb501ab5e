import hashlib
import io
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from rolecall.resources.archive import Extracted
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

FILES = {
    "top/run": b"#!/bin/sh\necho hi\n",
    "top/it's $(a) d\\ir/f": b"one",
    "top/.hidden": b"h",
}


def make_tar(path: Path, files: dict[str, bytes] | None = None) -> Path:
    mode = {".gz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}.get(path.suffix, "w")
    with tarfile.open(path, mode) as archive:
        for name, data in (files or FILES).items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), 1_700_000_000
            member.mode = 0o4777 if name.endswith("run") else 0o644
            archive.addfile(member, io.BytesIO(data))
        if files is None:
            link = tarfile.TarInfo("top/link")
            link.type, link.linkname = tarfile.SYMTYPE, "sub/../run"
            archive.addfile(link)
    return path


def make_zip(path: Path, files: dict[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (files or FILES).items():
            info = zipfile.ZipInfo(name, (2024, 2, 3, 4, 5, 6))
            info.external_attr = (0o100755 if name.endswith("run") else 0o100644) << 16
            archive.writestr(info, data)
    return path


def make(path: Path) -> Path:
    return make_tar(path) if ".tar" in path.name else make_zip(path)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tar.xz", "a b.zip", "a.whl"])
def test_an_archive_is_extracted_once_and_removed(tmp_path, name, shell):
    shell, home, path = find_shell(shell, tmp_path), tmp_path / "home", tmp_path / "out 'x'"
    archive = make(tmp_path / name)
    extracted = Extracted(str(archive), str(path), strip=1)
    assert_contract([extracted], home, shell)
    for member, data in FILES.items():
        assert (path / member.removeprefix("top/")).read_bytes() == data
    assert (path / "run").stat().st_mode & 0o7777 == 0o755
    destroy(extracted, home)
    assert not path.exists()
    assert not list(tmp_path.glob(".rolecall*"))


def test_a_wheel_is_extracted_where_only_python_is(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in [*Path("/usr/bin").iterdir(), *Path("/bin").iterdir()]:
        if program.name not in {"unzip", "busybox"} and not (folder / program.name).exists():
            (folder / program.name).symlink_to(program)
    if not (folder / "python3").exists():
        pytest.skip("no python3 in /usr/bin")
    monkeypatch.setenv("PATH", str(folder))
    extracted = Extracted(str(make_zip(tmp_path / "a.whl")), str(tmp_path / "out"))
    assert_contract([extracted], tmp_path / "home")
    assert os.access(tmp_path / "out/top/run", os.X_OK)
    bad = make_zip(tmp_path / "b.zip", {"../escaped": b"x"})
    result = converge([Extracted(str(bad), str(tmp_path / "bad"))], tmp_path / "home")
    assert "would be written outside" in result.text


def test_a_missing_or_altered_file_is_put_back_and_others_do_not_count(tmp_path):
    home, path = tmp_path / "home", tmp_path / "out"
    extracted = Extracted(str(make_tar(tmp_path / "a.tar.gz")), str(path))
    converge([extracted], home)
    (path / "top/__pycache__").mkdir()
    (path / "top/__pycache__/x.pyc").write_bytes(b"")
    settled([extracted], home)
    (path / "top/run").write_text("other")
    result = assert_contract([extracted], home)
    assert [change.field for change in result.done[extracted.id].changes] == ["contents"]
    (path / "top/link").unlink()
    assert_contract([extracted], home)


@pytest.mark.parametrize("pinned", [True, False])
def test_another_archive_replaces_the_contents(tmp_path, pinned):
    home, path, archive = tmp_path / "home", tmp_path / "out", tmp_path / "a.tar.gz"

    def extracted() -> Extracted:
        digest = hashlib.sha256(archive.read_bytes()).hexdigest() if pinned else ""
        return Extracted(str(archive), str(path), sha256=digest)

    make_tar(archive)
    assert_contract([extracted()], home)
    archive.unlink()
    make_tar(archive, {"new": b"new"})
    assert_contract([extracted()], home)
    assert [item.name for item in path.iterdir() if not item.name.startswith(".r")] == ["new"]
    last = extracted()
    archive.unlink()
    settled([last], home)


def member(name: str, type_: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = type_, link
    return info


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "members",
    [
        [member("../escaped")],
        [member("/tmp/rolecall-escaped")],
        [member("a/../../escaped")],
        [member("out", tarfile.SYMTYPE, "/etc")],
        [member("d/out", tarfile.SYMTYPE, "../../escaped")],
        [member("d", tarfile.SYMTYPE, ".."), member("d/escaped")],
        [member("x\n../y", tarfile.SYMTYPE, "/etc")],
    ],
)
def test_members_that_lead_outside_are_refused(tmp_path, members, shell):
    shell = find_shell(shell, tmp_path / "shells")
    inside = tmp_path / "in"
    inside.mkdir()
    archive = inside / "a.tar"
    with tarfile.open(archive, "w") as made:
        made.addfile(member("good"))
        for item in members:
            made.addfile(item)
    before = tree_digest(*(item for item in tmp_path.iterdir() if item != inside))
    extracted = Extracted(str(archive), str(inside / "out"))
    result = converge([extracted], tmp_path / "home", shell=shell)
    assert result.outcomes[extracted.id] == "failed"
    assert sorted(item.name for item in inside.iterdir()) == ["a.tar"], result.text
    assert not (tmp_path / "escaped").exists()
    assert before != ""


@pytest.mark.parametrize("shell", SHELLS)
def test_a_zip_that_leads_outside_is_refused(tmp_path, shell):
    shell = find_shell(shell, tmp_path / "shells")
    archive = make_zip(tmp_path / "a.zip", {"ok": b"", "a/../../escaped": b"x"})
    extracted = Extracted(str(archive), str(tmp_path / "out"))
    result = converge([extracted], tmp_path / "home", shell=shell)
    assert "would be written outside" in result.reason(extracted)
    assert not (tmp_path / "out").exists()


def test_a_damaged_missing_or_wrong_archive_fails_with_the_reason(tmp_path):
    broken = tmp_path / "a.tar.gz"
    broken.write_bytes(make_tar(tmp_path / "good.tar.gz").read_bytes()[:100])
    cases = [
        (Extracted(str(broken), str(tmp_path / "o1")), "not a whole archive"),
        (Extracted(str(tmp_path / "no.zip"), str(tmp_path / "o2")), "there is no archive"),
        (
            Extracted(str(tmp_path / "good.tar.gz"), str(tmp_path / "o3"), sha256="0" * 64),
            "its sha256 is",
        ),
    ]
    for extracted, words in cases:
        result = converge([extracted], tmp_path / "home")
        assert words in result.reason(extracted)
        assert not Path(extracted.path).exists()
    assert not list(tmp_path.glob(".rolecall*"))


def test_something_else_at_the_path_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/precious").write_text("x")
    extracted = Extracted(str(make_tar(tmp_path / "a.tar")), str(tmp_path / "out"))
    result = converge([extracted], tmp_path / "home", check=True)
    assert result.outcomes[extracted.id] == "failed"


def test_killed_at_any_moment_the_next_run_converges(tmp_path):
    home, path, archive = tmp_path / "home", tmp_path / "out", tmp_path / "a.tar"
    make_tar(archive, {f"d{i}/{j}": os.urandom(100) for i in range(30) for j in range(30)})
    extracted = Extracted(str(archive), str(path))
    for pattern in (".rolecall-*-new", ".rolecall-*-new/tree/d*", ".rolecall-*-old", "out/d*"):
        converge_killed([extracted], home, lambda p=pattern: any(tmp_path.glob(p)))
        after = converge([extracted], home)
        assert after.outcomes.get(extracted.id) in {"ok", "changed"}, after.text
        settled([extracted], home)
        assert len(list(path.glob("d*/*"))) == 900
        assert not list(tmp_path.glob(".rolecall*"))
        (path / "d0/0").unlink()


def test_looking_writes_nothing(tmp_path):
    if not shutil.which("tar"):
        pytest.skip("tar is not installed")
    home = tmp_path / "home"
    extracted = Extracted(str(make_tar(tmp_path / "a.tar")), str(tmp_path / "out"))
    converge([extracted], home)
    before = tree_digest(tmp_path / "out", home)
    converge([extracted], home, check=True)
    assert tree_digest(tmp_path / "out", home) == before
