import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rolecall.resources.package import Package
from tests.support import SHELLS, assert_contract, converge, destroy, find_shell, settled

HELLO = "rolecall-test-hello"
NEEDS = "rolecall-test-needs"
OFFERED = "rolecall-test-offered"

needs_apt = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("apt-get") or not shutil.which("dpkg-deb"),
    reason="needs root, apt-get and dpkg-deb",
)


def build(folder: Path, name: str, version: str, extra: str = "") -> str:
    """Build a package that holds one configuration file; return its entry for the index."""
    tree = folder / f"{name}-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "etc").mkdir()
    (tree / f"etc/{name}").write_text(version)
    (tree / "DEBIAN/conffiles").write_text(f"/etc/{name}\n")
    control = (
        f"Package: {name}\nVersion: {version}\nArchitecture: all\n{extra}"
        "Maintainer: Rolecall <tests@example.org>\nDescription: made by a test of Rolecall\n"
    )
    (tree / "DEBIAN/control").write_text(control)
    archive = folder / f"{name}_{version}_all.deb"
    subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", tree, archive],
        capture_output=True,
        check=True,
    )
    data = archive.read_bytes()
    return (
        f"{control}Filename: ./{archive.name}\nSize: {len(data)}\n"
        f"SHA256: {hashlib.sha256(data).hexdigest()}\n\n"
    )


def use_source(folder: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let apt know this one source, and keep its lists and cache out of the system's."""
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "sources.list").write_text(source)
    config = folder / "apt.conf"
    config.write_text(
        f'Dir::Etc::sourcelist "{folder}/sources.list";\nDir::Etc::sourceparts "-";\n'
        f'Dir::State::lists "{folder}/lists";\nDir::Cache "{folder}/cache";\n'
        f'Dir::State::extended_states "{folder}/extended_states";\n'
        'Acquire::Retries "0";\nAPT::Sandbox::User "root";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(config))


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A package source of our own; whatever a test installs from it goes again."""
    folder = tmp_path / "apt"
    folder.mkdir()
    index = (
        build(folder, HELLO, "1.0", f"Provides: {OFFERED}\n")
        + build(folder, HELLO, "2.0", f"Provides: {OFFERED}\n")
        + build(folder, NEEDS, "1.0", f"Depends: {HELLO}\n")
    )
    (folder / "Packages").write_text(index)
    use_source(folder, f"deb [trusted=yes] file:{folder} ./\n", monkeypatch)
    yield folder
    subprocess.run(["dpkg", "--purge", NEEDS, HELLO], capture_output=True, check=False)


def state(name: str) -> str:
    found = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", name],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout


@needs_apt
def test_a_package_is_installed_once_and_removed_by_destroy(tmp_path, source):
    home = tmp_path / "home"
    first = assert_contract([Package(HELLO)], home)
    assert any(f"Setting up {HELLO}" in line for line in first.output)
    assert state(HELLO) == "installed 2.0"
    destroy(Package(HELLO), home)
    assert state(HELLO) == "config-files 2.0"
    again = converge([Package(HELLO, state="absent")], home)
    assert list(again.outcomes.values()) == ["ok"]


@needs_apt
def test_a_version_is_kept_even_when_a_newer_one_is_there(tmp_path, source):
    home = tmp_path / "home"
    converge([Package(HELLO)], home)
    older = Package(HELLO, version="1.0")
    assert_contract([older], home)
    assert state(HELLO) == "installed 1.0"


@needs_apt
def test_destroy_leaves_a_package_that_something_else_needs(tmp_path, source):
    home = tmp_path / "home"
    converge([Package(HELLO)], home)
    converge([Package(NEEDS)], tmp_path / "somebody-else")
    destroy(Package(HELLO), home)
    assert state(HELLO) == "installed 2.0"
    destroy(Package(NEEDS), tmp_path / "somebody-else")
    assert state(NEEDS).startswith("config-files")


@needs_apt
@pytest.mark.parametrize("shell", SHELLS[:2])
def test_a_package_that_an_interrupted_dpkg_left_half_done_is_finished(tmp_path, shell, source):
    shell = find_shell(shell, tmp_path)
    subprocess.run(
        ["dpkg", "--unpack", source / f"{HELLO}_2.0_all.deb"], capture_output=True, check=True
    )
    predicted = converge([Package(HELLO)], tmp_path / "home", check=True, shell=shell)
    (change,) = predicted.done[f"package:{HELLO}"].changes
    assert (change.before, change.after) == ("unpacked", "installed")
    assert_contract([Package(HELLO)], tmp_path / "home", shell)


@needs_apt
def test_dpkg_left_with_a_journal_is_configured_first(tmp_path, source):
    journal = Path("/var/lib/dpkg/updates/0000")
    journal.write_bytes(Path("/var/lib/dpkg/status").read_bytes().partition(b"\n\n")[0] + b"\n\n")
    try:
        assert_contract([Package(HELLO)], tmp_path / "home")
    finally:
        journal.unlink(missing_ok=True)


@needs_apt
def test_a_removed_package_whose_configuration_stays_counts_as_absent(tmp_path, source):
    home = tmp_path / "home"
    converge([Package(HELLO)], home)
    converge([Package(HELLO, state="absent")], home)
    settled([Package(HELLO, state="absent")], home)


@needs_apt
def test_a_name_that_others_provide_is_said_to_be_one(tmp_path, source):
    package = Package(OFFERED)
    result = converge([package], tmp_path / "home")
    assert result.outcomes[package.id] == "failed"
    assert "is not a package but a name that others provide" in result.reason(package)


@needs_apt
def test_an_unknown_package_fails_with_the_reason_and_a_way_out(tmp_path, source):
    package = Package("rolecall-no-such-package", sudo=True)
    result = converge([package], tmp_path / "home")
    assert result.outcomes[package.id] == "failed"
    assert "no package source of this host offers rolecall-no-such-package" in result.reason(
        package
    )


@needs_apt
def test_an_unknown_version_lists_the_versions_there_are(tmp_path, source):
    package = Package(HELLO, version="0.0-0")
    result = converge([package], tmp_path / "home")
    assert result.outcomes[package.id] == "failed"
    assert "offers this version of rolecall-test-hello; it has:" in result.reason(package)


@needs_apt
def test_unreachable_sources_are_told_apart_from_a_wrong_name(tmp_path, monkeypatch):
    use_source(tmp_path, "deb [trusted=yes] http://127.0.0.1:9/ ./\n", monkeypatch)
    package = Package("rolecall-no-such-package")
    result = converge([package], tmp_path / "home")
    assert "the package sources cannot be reached" in result.reason(package)


def test_a_hundred_packages_are_one_question(tmp_path):
    if not shutil.which("dpkg-query"):
        pytest.skip("dpkg is not installed")
    names = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}:${Architecture}\n"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    there = [line.split()[1] for line in names.splitlines() if line.startswith("installed ")][:100]
    packages = [Package(name.removesuffix(":all")) for name in there]
    converge(packages, tmp_path / "home")
    settled(packages, tmp_path / "home")


@pytest.fixture
def ordinary_user_path(tmp_path, monkeypatch):
    """A host without sudo whose user is not root: id says so."""
    if not shutil.which("dpkg-query"):
        pytest.skip("dpkg is not installed")
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in (
        "dpkg-query",
        "dpkg",
        "apt-get",
        "readlink",
        "ln",
        "rm",
        "mkdir",
        "sed",
        "cut",
        "date",
        "uname",
        "nproc",
        "sh",
        "cat",
    ):
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    fake_id = folder / "id"
    fake_id.write_text('#!/bin/sh\n[ "$1" = -un ] && echo someone || echo 1000\n')
    fake_id.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_without_root_and_sudo_check_already_says_what_to_ask_for(tmp_path, ordinary_user_path):
    package = Package("rolecall-no-such-package")
    for check in (True, False):
        result = converge([package], tmp_path / "home", check=check)
        assert result.outcomes[package.id] == "failed"
        assert "no sudo" in result.reason(package)
        assert "apt-get install rolecall-no-such-package" in result.reason(package)


def test_without_root_what_is_installed_is_ok(tmp_path, ordinary_user_path):
    settled_first = converge([Package("dpkg")], tmp_path / "home")
    assert list(settled_first.outcomes.values()) == ["ok"]
