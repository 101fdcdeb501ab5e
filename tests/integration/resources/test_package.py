import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rolecall.resources.package import Package
from tests.support import SHELLS, assert_contract, converge, destroy, find_shell, settled

PACKAGE = "hello"


def apt_works() -> bool:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    simulated = subprocess.run(
        ["apt-get", "-s", "install", PACKAGE], capture_output=True, check=False
    )
    return simulated.returncode == 0


def installed() -> bool:
    found = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}", PACKAGE],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout == "installed"


needs_apt = pytest.mark.skipif(not apt_works(), reason="needs root and an apt that can install")


@pytest.fixture
def no_hello():
    if installed():
        pytest.skip(f"{PACKAGE} is installed on this machine")
    yield
    subprocess.run(["apt-get", "-y", "-q", "purge", PACKAGE], capture_output=True, check=True)


@needs_apt
def test_a_package_is_installed_once_and_removed_by_destroy(tmp_path, no_hello):
    home = tmp_path / "home"
    first = assert_contract([Package(PACKAGE)], home)
    assert any("Setting up hello" in line for line in first.output)
    assert installed()
    destroy(Package(PACKAGE), home)
    assert not installed()
    again = converge([Package(PACKAGE, state="absent")], home)
    assert list(again.outcomes.values()) == ["ok"]


@needs_apt
@pytest.mark.parametrize("shell", SHELLS[:2])
def test_a_package_that_an_interrupted_dpkg_left_half_done_is_finished(tmp_path, shell, no_hello):
    shell = find_shell(shell, tmp_path)
    subprocess.run(["apt-get", "download", PACKAGE], cwd=tmp_path, capture_output=True, check=True)
    archive = next(tmp_path.glob("hello*.deb"))
    subprocess.run(["dpkg", "--unpack", archive], capture_output=True, check=True)
    predicted = converge([Package(PACKAGE)], tmp_path / "home", check=True, shell=shell)
    (change,) = predicted.done[f"package:{PACKAGE}"].changes
    assert (change.before, change.after) == ("unpacked", "installed")
    assert_contract([Package(PACKAGE)], tmp_path / "home", shell)


@needs_apt
def test_dpkg_left_with_a_journal_is_configured_first(tmp_path, no_hello):
    journal = Path("/var/lib/dpkg/updates/0000")
    journal.write_bytes(Path("/var/lib/dpkg/status").read_bytes().partition(b"\n\n")[0] + b"\n\n")
    try:
        assert_contract([Package(PACKAGE)], tmp_path / "home")
    finally:
        journal.unlink(missing_ok=True)


@needs_apt
def test_a_removed_package_whose_configuration_stays_counts_as_absent(tmp_path, no_hello):
    home = tmp_path / "home"
    converge([Package(PACKAGE)], home)
    converge([Package(PACKAGE, state="absent")], home)
    settled([Package(PACKAGE, state="absent")], home)


@needs_apt
def test_an_unknown_package_fails_with_the_reason_and_a_way_out(tmp_path):
    package = Package("rolecall-no-such-package", sudo=True)
    result = converge([package], tmp_path / "home")
    assert result.outcomes[package.id] == "failed"
    assert "no package source of this host offers rolecall-no-such-package" in result.reason(package)


@needs_apt
def test_an_unknown_version_lists_the_versions_there_are(tmp_path):
    package = Package(PACKAGE, version="0.0-0")
    result = converge([package], tmp_path / "home")
    assert result.outcomes[package.id] == "failed"
    assert "offers this version of hello; it has:" in result.reason(package)


@needs_apt
def test_unreachable_sources_are_told_apart_from_a_wrong_name(tmp_path, monkeypatch):
    sources = tmp_path / "sources.list"
    sources.write_text("deb [trusted=yes] http://127.0.0.1:9/debian stable main\n")
    config = tmp_path / "apt.conf"
    config.write_text(
        f'Dir::Etc::sourcelist "{sources}";\nDir::Etc::sourceparts "-";\n'
        f'Dir::State::lists "{tmp_path}/lists";\nAcquire::Retries "0";\n'
        f'Dir::Cache "{tmp_path}/cache";\n'
    )
    (tmp_path / "lists/partial").mkdir(parents=True)
    (tmp_path / "cache/archives/partial").mkdir(parents=True)
    monkeypatch.setenv("APT_CONFIG", str(config))
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
    for name in ("dpkg-query", "dpkg", "apt-get", "readlink", "ln", "rm", "mkdir", "sed", "cut",
                 "date", "uname", "nproc", "sh", "cat"):
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    fake_id = folder / "id"
    fake_id.write_text("#!/bin/sh\n[ \"$1\" = -un ] && echo someone || echo 1000\n")
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
