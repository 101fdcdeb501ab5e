"""Host keys, for a user of ``./inv`` and ``./fab``: strangers, changed keys, and ``trust``."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.remote import Site
from tests.integration.cli.test_remote import entry, fails, works
from tests.rig.sshd import USER, Sshd, fingerprint

#: How each program is told to do something on gpu-1.
WAYS = {
    "inv": ["./inv", "deploy", "--hosts", "gpu-1"],
    "fab": ["./fab", "-H", "gpu-1", "deploy"],
    "a task of fabric": ["./fab", "-H", "gpu-1", "uptime"],
    "a command of fab": ["./fab", "-H", "gpu-1", "--", "echo up"],
}


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    server = Sshd(tmp_path / "sshd").start()
    yield server
    server.stop()


@pytest.fixture
def site(tmp_path: Path, sshd: Sshd) -> Site:
    """A host whose key nobody knows."""
    made = Site.make(tmp_path)
    made.inventory(f"all:\n  hosts:\n    gpu-1: {entry('gpu-1', sshd)}\n")
    return made


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> list[str]:
    return WAYS[request.param]


def known(sshd: Sshd, path: Path, *, hashed: bool = False) -> None:
    """Put the server's key into a file."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(sshd.known_hosts.read_text())
    if hashed:
        subprocess.run(["ssh-keygen", "-H", "-f", path], check=True, capture_output=True)
        path.with_name(f"{path.name}.old").unlink()
        assert "127.0.0.1" not in path.read_text()


class TestStrangers:
    def test_a_stranger_is_refused_before_any_login(
        self, site: Site, sshd: Sshd, way: list[str]
    ) -> None:
        said = fails(site.type(*way))
        assert "the key of gpu-1 is not known" in said
        assert fingerprint(sshd.folder / "host_key.pub") in said
        command = "./inv trust --hosts gpu-1" if way[0] == "./inv" else "./fab -H gpu-1 trust"
        assert command in said
        assert sshd.channels == 0 and "Accepted" not in sshd.log
        assert not site.own_known_hosts.exists() and not site.known_hosts.exists()
        works(site.type(*command.split(), "--yes"))
        works(site.type(*way))

    def test_an_ad_hoc_stranger_is_accepted_by_the_command_that_the_refusal_names(
        self, site: Site, sshd: Sshd
    ) -> None:
        how = ["./fab", "-i", str(sshd.key), "-H", f"{USER}@127.0.0.1:{sshd.port}"]
        said = fails(site.type(*how, "deploy"))
        command = f"./fab -i {sshd.key} -H {USER}@127.0.0.1:{sshd.port} trust"
        assert command in said
        works(site.type(*command.split(), "--yes"))
        works(site.type(*how, "deploy"))

    def test_a_key_in_a_hashed_file_is_known(self, site: Site, sshd: Sshd, way: list[str]) -> None:
        known(sshd, site.own_known_hosts, hashed=True)
        works(site.type(*way))

    def test_a_key_in_the_inventorys_own_file_is_known(
        self, site: Site, sshd: Sshd, way: list[str]
    ) -> None:
        known(sshd, site.known_hosts)
        works(site.type(*way))

    def test_the_inventorys_file_may_lie_elsewhere(
        self, site: Site, sshd: Sshd, way: list[str], tmp_path: Path
    ) -> None:
        known(sshd, tmp_path / "keys" / "hosts")
        site.inventory(
            f"all:\n  hosts:\n    gpu-1: {entry('gpu-1', sshd)}\n"
            "  vars: {rolecall: {known_hosts: ../../keys/hosts}}\n"
        )
        works(site.type(*way))


class TestChanged:
    def test_a_changed_key_is_refused_loudly_and_replaced_only_when_told_to(
        self, site: Site, sshd: Sshd, way: list[str]
    ) -> None:
        known(sshd, site.own_known_hosts)
        old = fingerprint(sshd.folder / "host_key.pub")
        sshd.new_host_key()
        new = fingerprint(sshd.folder / "host_key.pub")
        said = fails(site.type(*way))
        assert "THE KEY OF gpu-1 HAS CHANGED" in said and old in said and new in said
        assert f"{site.own_known_hosts}:1" in said
        before = site.own_known_hosts.read_bytes()
        said = fails(site.type("./inv", "trust", "--hosts", "gpu-1", "--yes"))
        assert "HAS CHANGED" in said and "./inv trust --hosts gpu-1 --replace" in said
        assert site.own_known_hosts.read_bytes() == before
        works(site.type("./inv", "trust", "--hosts", "gpu-1", "--yes", "--replace"))
        assert site.own_known_hosts.read_text() == (
            f"[127.0.0.1]:{sshd.port} {sshd.public_host_key}\n"
        )
        works(site.type(*way))

    def test_only_the_hosts_own_lines_are_replaced_also_in_a_hashed_file_behind_a_link(
        self, site: Site, sshd: Sshd, tmp_path: Path
    ) -> None:
        file = tmp_path / "elsewhere"
        other = f"# a remark\nother {sshd.public_host_key}\n"
        known(sshd, file, hashed=True)
        file.write_text(other + file.read_text())
        file.chmod(0o600)
        site.own_known_hosts.parent.mkdir(mode=0o700)
        site.own_known_hosts.symlink_to(file)
        sshd.new_host_key()
        works(site.type("./inv", "trust", "--hosts", "gpu-1", "--yes", "--replace"))
        assert site.own_known_hosts.is_symlink() and file.stat().st_mode & 0o777 == 0o600
        assert file.read_text().startswith(f"{other}|1|")
        assert file.read_text().count("\n") == 3
        works(site.type("./inv", "deploy", "--hosts", "gpu-1"))

    def test_a_pattern_that_knows_the_old_key_is_the_users_to_remove(
        self, site: Site, sshd: Sshd
    ) -> None:
        known(sshd, site.own_known_hosts)
        text = site.own_known_hosts.read_text().replace(f"[127.0.0.1]:{sshd.port}", "*")
        site.own_known_hosts.write_text(text)
        sshd.new_host_key()
        said = works(site.type("./inv", "trust", "--hosts", "gpu-1", "--yes", "--replace"))
        assert f"by {site.own_known_hosts}:1: remove that line" in said
        assert site.own_known_hosts.read_text().startswith(text)


class TestTrust:
    def test_it_asks_and_no_means_no(self, site: Site, sshd: Sshd) -> None:
        command = [str(site.root / "inv"), "trust", "--hosts", "gpu-1"]
        status, shown = site.converse(command, [("[y/N] ", "\n")])
        assert status == 1 and "not accepted" in shown
        assert fingerprint(sshd.folder / "host_key.pub") in shown
        assert not site.own_known_hosts.exists()
        status, shown = site.converse(command, [("[y/N] ", "y\n")])
        assert status == 0 and f"accepted, in {site.own_known_hosts}" in shown
        assert site.own_known_hosts.read_text() == sshd.known_hosts.read_text()
        status, shown = site.converse(command, [])
        assert status == 0 and f"known already ({site.own_known_hosts}:1)" in shown

    def test_without_a_terminal_it_shows_the_key_and_the_command(
        self, site: Site, sshd: Sshd
    ) -> None:
        said = fails(site.type("./inv", "trust", "--hosts", "gpu-1"), 2)
        assert fingerprint(sshd.folder / "host_key.pub") in said
        assert "./inv trust --hosts gpu-1 --yes" in said
        assert not site.own_known_hosts.exists()

    def test_it_writes_to_the_inventorys_own_file_where_there_is_one(
        self, site: Site, sshd: Sshd
    ) -> None:
        works(site.type("./inv", "trust", "--hosts", "gpu-1", "--yes", "--shared"))
        assert site.known_hosts.read_text() == sshd.known_hosts.read_text()
        site.known_hosts.write_text("# keys of ours\n")
        works(site.type("./inv", "trust", "--hosts", "gpu-1", "--yes"))
        assert site.known_hosts.read_text() == f"# keys of ours\n{sshd.known_hosts.read_text()}"
        assert not site.own_known_hosts.exists()

    def test_a_host_that_cannot_be_reached_hides_no_other(self, site: Site, sshd: Sshd) -> None:
        site.inventory(
            f"all:\n  hosts:\n    gone: {entry('gone', sshd, ansible_port=1)}\n"
            f"    gpu-1: {entry('gpu-1', sshd)}\n"
        )
        said = fails(site.type("./inv", "trust", "--hosts", "all", "--yes"))
        assert "gone" in said and "connection refused" in said
        assert site.own_known_hosts.read_text() == sshd.known_hosts.read_text()

    def test_this_machine_has_no_key_to_accept(self, site: Site) -> None:
        assert "this machine" in works(site.type("./inv", "trust", "--hosts", "localhost"))

    def test_a_list_of_hosts_has_no_file_of_its_own(self, site: Site) -> None:
        site.inventory("all: {hosts: {x: }}\n")
        values = ["--set", "note.folder=/tmp", "--inventory", "127.0.0.1:1,x"]
        said = fails(site.type("./inv", "trust", "--hosts", "x", "--shared", *values), 2)
        assert "no folder" in said and "--shared" in said
