"""The directory of a bundle: whole files, verified each time, and nothing else."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from rolecall.errors import RolecallError
from roles.bundle.collect.folder import Folder, sha256


def add(folder: Folder, path: str, data: bytes, key: str = "") -> None:
    new = folder.staging("test") / "new"
    new.write_bytes(data)
    folder.add(new, path, "a test")
    folder.finish_piece(key or f"piece-{path}", "something", [path])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A bundle with two files."""
    place = tmp_path / "bundle"
    with Folder.opened(place) as folder:
        add(folder, "wheels/a.whl", b"a")
        add(folder, "git/b.pack", b"b")
        folder.hosts["h"] = {"needs": ["piece-wheels/a.whl", "piece-git/b.pack"]}
        folder.tidy()
    return place


def contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_it_lists_what_is_in_it_for_people_and_for_hosts(root: Path) -> None:
    manifest = json.loads((root / "manifest.json").read_text())
    assert manifest["files"]["wheels/a.whl"] == {
        "size": 1,
        "sha256": sha256(root / "wheels/a.whl"),
        "source": "a test",
    }
    assert (root / "pieces").read_text().split() == ["piece-git/b.pack", "piece-wheels/a.whl"]
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=root, check=True)
    assert {path.name for path in root.iterdir()} == {
        *("manifest.json", "pieces", "SHA256SUMS", "wheels", "git")
    }


def test_opening_it_again_changes_nothing(root: Path) -> None:
    before = contents(root)
    with Folder.opened(root) as folder:
        assert set(folder.pieces) == {"piece-wheels/a.whl", "piece-git/b.pack"}
        assert folder.damaged == []
        folder.tidy()
    assert contents(root) == before


def test_a_damaged_file_is_named_and_its_piece_has_to_come_again(root: Path) -> None:
    (root / "wheels/a.whl").write_bytes(b"x")
    with Folder.opened(root) as folder:
        assert folder.damaged == ["wheels/a.whl"]
        assert set(folder.pieces) == {"piece-git/b.pack"}


def test_a_file_that_was_removed_has_to_come_again(root: Path) -> None:
    (root / "git/b.pack").unlink()
    with Folder.opened(root) as folder:
        assert (folder.damaged, set(folder.pieces)) == ([], {"piece-wheels/a.whl"})


def test_what_a_killed_run_left_is_kept_and_what_no_piece_has_goes(root: Path) -> None:
    (root / ".part/staging").mkdir(parents=True)
    (root / ".part/staging/half").write_bytes(b"h")
    (root / "wheels/old.whl").write_bytes(b"o")
    with Folder.opened(root) as folder:
        folder.tidy()
    assert set(contents(root)) == {
        *("manifest.json", "pieces", "SHA256SUMS", "wheels/a.whl", "git/b.pack")
    }


def test_a_piece_that_no_host_needs_any_more_goes(root: Path) -> None:
    with Folder.opened(root) as folder:
        folder.hosts["h"] = {"needs": ["piece-git/b.pack"]}
        folder.tidy()
    assert set(contents(root)) == {"manifest.json", "pieces", "SHA256SUMS", "git/b.pack"}
    assert (root / "pieces").read_text() == "piece-git/b.pack\n"


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    with pytest.raises(RolecallError, match="none of a bundle"), Folder.opened(tmp_path):
        pass
    assert contents(tmp_path) == {"precious": b"data"}


def test_a_manifest_that_cannot_be_read_is_told(root: Path) -> None:
    (root / "manifest.json").write_text("{")
    with pytest.raises(RolecallError, match="cannot be read"), Folder.opened(root):
        pass


def test_two_at_a_time_are_refused(root: Path) -> None:
    told = pytest.raises(RolecallError, match=r"another \./inv bundle works")
    with Folder.opened(root), told, Folder.opened(root):
        pass
