"""A bundle on a host: read once, then looked at; what is missing or wrong has a name."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from roles.bundle.collect.folder import Folder
from roles.bundle.verified import VerifiedBundle
from tests.support import SHELLS, assert_contract, converge, destroy, find_shell, settled

COMMAND = "./inv bundle --output DIRECTORY"


@pytest.fixture
def bundle(tmp_path: Path) -> VerifiedBundle:
    """A bundle of two pieces, which are both needed."""
    root = tmp_path / "it's a $(bundle)"
    with Folder.opened(root) as folder:
        for name in ("one", "two"):
            new = folder.staging("test") / "new"
            new.write_bytes(name.encode() * 1000)
            folder.add(new, f"wheels/{name}-1+cpu.whl", "a test")
            folder.finish_piece(
                f"wheels-{name}-py3.11-x86_64", f"wheels of {name}", [f"wheels/{name}-1+cpu.whl"]
            )
        folder.hosts["h"] = {"needs": list(folder.pieces)}
        folder.tidy()
    needs = (
        ("wheels-one-py[0-9.]*-x86_64", "the wheels of one", ""),
        ("wheels-two-py3.11-x86_64", "the wheels of two", "exit 1"),
        ("packages-of-this-host", "packages that it has", "echo there; exit 0"),
    )
    return VerifiedBundle(str(root), str(tmp_path / "record"), needs, COMMAND)


def spoil(bundle: VerifiedBundle, name: str) -> Path:
    """Change a file; size and time stay."""
    file = Path(bundle.path, name)
    stat = file.stat()
    file.write_bytes(b"x" * stat.st_size)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    return file


@pytest.mark.parametrize("shell", SHELLS)
def test_it_is_read_once(shell: str, bundle: VerifiedBundle, tmp_path: Path) -> None:
    shell = find_shell(shell, tmp_path / "shells")
    done = assert_contract([bundle], tmp_path / "home", shell=shell)
    assert done.progress[-1].done == done.progress[-1].total == 4
    settled([replace(bundle, verify=True)], tmp_path / "home", shell=shell)
    destroy(bundle, tmp_path / "home")
    assert not Path(bundle.record).exists() and Path(bundle.path, "manifest.json").exists()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", ["wheels/two-1+cpu.whl", "pieces", "manifest.json"])
def test_what_is_damaged_is_named(
    shell: str, name: str, bundle: VerifiedBundle, tmp_path: Path
) -> None:
    shell = find_shell(shell, tmp_path / "shells")
    file = spoil(bundle, name)
    if name == "pieces":
        bundle = replace(bundle, needs=())
    done = converge([bundle], tmp_path / "home", shell=shell)
    assert done.outcomes == {bundle.id: "failed"}
    assert f"damaged in the bundle {bundle.path}: {name}" in done.why(bundle.id)
    assert file.exists() and not Path(bundle.record).exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_damage_that_keeps_size_and_time_is_found_by_reading(
    shell: str, bundle: VerifiedBundle, tmp_path: Path
) -> None:
    shell = find_shell(shell, tmp_path / "shells")
    converge([bundle], tmp_path / "home", shell=shell)
    spoil(bundle, "wheels/two-1+cpu.whl")
    settled([bundle], tmp_path / "home", shell=shell)
    for check in (True, False):
        done = converge([bundle.thorough()], tmp_path / "home", shell=shell, check=check)
        assert done.outcomes == {bundle.id: "failed"}
        assert "wheels/two-1+cpu.whl" in done.reason(bundle)


@pytest.mark.parametrize("shell", SHELLS)
def test_what_is_missing_is_named_in_check_mode_too(
    shell: str, bundle: VerifiedBundle, tmp_path: Path
) -> None:
    shell = find_shell(shell, tmp_path / "shells")
    others = (("model-0000", "the model hf://a/b", ""), ("image-0", "an image", "false"))
    lacking = replace(bundle, needs=(*bundle.needs, *others))
    for check in (True, False):
        done = converge([lacking], tmp_path / "home", shell=shell, check=check)
        assert "does not have the model hf://a/b; an image" in done.reason(lacking)
        assert COMMAND in done.reason(lacking)
    Path(bundle.path, "wheels/one-1+cpu.whl").unlink()
    done = converge([bundle], tmp_path / "home", shell=shell)
    assert "lacks wheels/one-1+cpu.whl" in done.reason(bundle)
    assert COMMAND in done.reason(bundle)


def test_a_bundle_that_was_copied_anew_is_read_again(
    bundle: VerifiedBundle, tmp_path: Path
) -> None:
    converge([bundle], tmp_path / "home")
    os.utime(Path(bundle.path, "wheels/one-1+cpu.whl"), (1, 1))
    done = converge([bundle], tmp_path / "home")
    assert done.outcomes == {bundle.id: "changed"}
    settled([bundle], tmp_path / "home")
