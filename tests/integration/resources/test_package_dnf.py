"""The same resource on a host with dnf. It needs root, dnf, rpmbuild and createrepo_c."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rolecall.resources.package import Package
from tests.support import assert_contract, converge, destroy, settled

NEEDED = ("dnf", "rpm", "rpmbuild", "createrepo_c")

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or any(not shutil.which(name) for name in NEEDED),
    reason=f"needs root and {', '.join(NEEDED)}",
)

HELLO = "rolecall-test-hello"
NEEDS = "rolecall-test-needs"


def build(folder: Path, name: str, version: str, extra: str = "") -> None:
    spec = folder / f"{name}-{version}.spec"
    spec.write_text(
        f"Name: {name}\nVersion: {version}\nRelease: 1\nSummary: made by a test\nLicense: MIT\n"
        f"BuildArch: noarch\n{extra}%description\nx\n%files\n"
    )
    subprocess.run(
        ["rpmbuild", "-bb", "--define", f"_topdir {folder}/build", spec],
        capture_output=True,
        check=True,
    )


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A host with dnf and without apt, its own package database and one package source."""
    folder = tmp_path / "rpm"
    folder.mkdir()
    build(folder, HELLO, "1.0")
    build(folder, HELLO, "2.0")
    build(folder, NEEDS, "1.0", f"Requires: {HELLO}\n")
    subprocess.run(["createrepo_c", folder / "build/RPMS"], capture_output=True, check=True)
    (folder / "root").mkdir()
    (folder / "dnf.conf").write_text(
        f"[main]\ncachedir={folder}/cache\npersistdir={folder}/persist\nlogdir={folder}\n"
        f"reposdir={folder}\nplugins=0\ngpgcheck=0\nmodule_platform_id=platform:x\n"
        f"[test]\nname=test\nbaseurl={(folder / 'build/RPMS').as_uri()}\nmetadata_expire=1\n"
    )
    programs = tmp_path / "bin"
    programs.mkdir()
    for directory in ("/usr/bin", "/bin", "/usr/sbin"):
        for program in Path(directory).iterdir():
            apt = program.name.startswith(("apt", "dpkg"))
            if not apt and not (programs / program.name).exists():
                (programs / program.name).symlink_to(program)
    root = f"{folder}/root"
    for name, options in (
        ("dnf", f"-c {folder}/dnf.conf --installroot={root} --releasever=1"),
        ("rpm", f"--root={root}"),
    ):
        real = shutil.which(name)
        (programs / name).unlink()
        (programs / name).write_text(f'#!/bin/sh\nexec {real} {options} "$@"\n')
        (programs / name).chmod(0o755)
    subprocess.run([programs / "rpm", "--initdb"], check=True)
    monkeypatch.setenv("PATH", str(programs))


def test_a_package_is_installed_kept_at_a_version_and_removed(tmp_path, source):
    home = tmp_path / "home"
    assert_contract([Package(HELLO)], home)
    assert_contract([Package(HELLO, version="1.0-1")], home)
    assert_contract([Package(HELLO, version="2.0-1")], home)
    settled([Package(f"{HELLO}:noarch")], home)
    destroy(Package(HELLO), home)
    settled([Package(HELLO, state="absent")], home)


def test_destroy_leaves_a_package_that_something_else_needs(tmp_path, source):
    home = tmp_path / "home"
    converge([Package(HELLO)], home)
    converge([Package(NEEDS)], tmp_path / "somebody-else")
    destroy(Package(HELLO), home)
    settled([Package(HELLO)], home)
    assert_contract([Package(NEEDS, state="absent")], home)


def test_an_unknown_package_fails_with_the_reason(tmp_path, source):
    package = Package("rolecall-no-such-package")
    result = converge([package], tmp_path / "home")
    assert "no package source of this host offers" in result.reason(package)
