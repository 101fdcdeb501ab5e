"""``./inv`` and ``./fab`` on hosts over SSH, as a user types them: names, keys, ways, mistakes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.remote import Site
from tests.rig.sshd import USER, Sshd, free_port, make_key

Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = Sshd(tmp_path_factory.mktemp("first")).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = Sshd(tmp_path_factory.mktemp("second")).start()
    yield server
    server.stop()


def entry(name: str, server: Sshd, **more: object) -> str:
    """Host ``name`` of ``hosts.yaml``: this machine, by way of ``server``."""
    values = {
        "ansible_host": "127.0.0.1",
        "ansible_port": server.port,
        "ansible_user": USER,
        "ansible_ssh_private_key_file": str(server.key),
        "rolecall": {"home": str(server.folder / f"home-{name}")},
    }
    return json.dumps(values | more)


@pytest.fixture
def site(tmp_path: Path, first: Sshd, second: Sshd) -> Site:
    """Two hosts in two groups, and one of them in a third; all keys are known."""
    made = Site.make(tmp_path)
    made.inventory(
        "all:\n  children:\n"
        "    gpu:\n      hosts:\n"
        f"        gpu-1: {entry('gpu-1', first)}\n        gpu-2: {entry('gpu-2', second)}\n"
        "    eu:\n      hosts: {gpu-2: }\n      vars: {note: {text: bonjour}}\n"
        f"    spare:\n      hosts:\n        gpu-3: {entry('gpu-3', first)}\n"
    )
    made.known_hosts.write_text(first.known_hosts.read_text() + second.known_hosts.read_text())
    return made


def works(done: Done) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fails(done: Done, status: int = 1) -> str:
    """All that a command said that had to fail: on one screen, and with the next step."""
    said = done.stdout + done.stderr
    assert done.returncode == status, said
    assert "Traceback" not in said and "defect" not in said
    assert "next" in said
    assert len(said.splitlines()) < 20
    return said


class TestNames:
    def test_a_name_of_the_inventory_brings_its_address_key_and_variables(self, site: Site) -> None:
        works(site.type("./fab", "-H", "gpu-2", "deploy"))
        assert site.written() == {"gpu-2": "bonjour"}
        works(site.type("./fab", "-H", "gpu", "deploy"))
        assert site.written() == {"gpu-1": "from the default", "gpu-2": "bonjour"}
        assert "2 round trips" not in works(site.type("./fab", "-H", "gpu-1,gpu-2", "deploy"))

    def test_an_unknown_name_is_a_host_of_group_all(self, site: Site, first: Sshd) -> None:
        name = f"{USER}@127.0.0.1:{first.port}"
        works(site.type("./fab", "-i", str(first.key), "-H", name, "deploy"))
        assert site.written() == {name: "from the default"}

    @pytest.mark.parametrize(
        ("pattern", "hosts"),
        [
            ("gpu", ["gpu-1", "gpu-2"]),
            ("gpu:&eu", ["gpu-2"]),
            ("gpu:spare:!eu", ["gpu-1", "gpu-3"]),
            ("gpu-*:!gpu-3", ["gpu-1", "gpu-2"]),
            ("gpu[0],spare", ["gpu-1", "gpu-3"]),
        ],
    )
    def test_a_pattern_chooses_hosts(self, site: Site, pattern: str, hosts: list[str]) -> None:
        said = works(site.type("./inv", "plan", "--hosts", pattern))
        assert [line.split()[0] for line in said.splitlines() if " : ok=" in line] == hosts
        assert site.written() == {}
        works(site.type("./inv", "deploy", "--hosts", pattern))
        assert list(site.written()) == hosts

    def test_why_explains_a_resource_of_a_remote_host(self, site: Site) -> None:
        works(site.type("./inv", "deploy", "--hosts", "gpu-2"))
        said = works(site.type("./inv", "why", f"file:{site.notes}/gpu-2", "--hosts", "gpu-2"))
        assert "verdict   ok" in said and "type: absent → file" in said

    def test_the_inventory_is_listed_without_its_file_of_keys(self, site: Site) -> None:
        listed = json.loads(works(site.type("./inv", "inventory", "--list")))
        assert sorted(listed["_meta"]["hostvars"]) == ["gpu-1", "gpu-2", "gpu-3"]
        host = json.loads(works(site.type("./inv", "inventory", "--host", "gpu-2")))
        assert host["ansible_user"] == USER and host["ansible_host"] == "127.0.0.1"
        graph = works(site.type("./inv", "inventory", "--graph"))
        assert "@eu" in graph and "gpu-3" in graph

    def test_a_task_that_knows_nothing_of_rolecall_gets_fabrics_connection(
        self, site: Site
    ) -> None:
        said = works(site.type("./fab", "-H", "gpu", "uptime"))
        assert said.splitlines() == [f"up as {USER}"] * 2
        said = works(site.type("./fab", "-H", "gpu-1", "--", "echo", "from over there"))
        assert said.strip() == "from over there"

    def test_a_task_that_is_about_no_host_runs_once_whatever_h_says(self, site: Site) -> None:
        said = works(site.type("./fab", "-H", "gpu-1,gpu-2", "inventory", "--graph"))
        assert said.count("@all:") == 1

    def test_unlock_tells_every_hosts_state(self, site: Site, first: Sshd) -> None:
        works(site.type("./inv", "deploy", "--hosts", "gpu"))
        lock = first.folder / "home-gpu-1" / "lock"
        lock.symlink_to("a-boot-long-gone:1:1 1 a-run - joe@elsewhere")
        said = works(site.type("./inv", "unlock", "--hosts", "gpu")).splitlines()
        assert said == ["gpu-1: a dead run's lock: removed", "gpu-2: no lock"]
        assert not lock.is_symlink()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        started = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(") ")[2].split()[19]
        lock.symlink_to(f"{boot}:{os.getpid()}:{started} 1 a-run - joe@elsewhere")
        said = fails(site.type("./inv", "unlock", "--hosts", "gpu"))
        assert "gpu-1 is locked by joe@elsewhere: run a-run" in said and "gpu-2: no lock" in said
        assert "./inv unlock --force --hosts gpu-1 ends that run" in said


class TestSshConfig:
    @pytest.fixture
    def config(self, site: Site, first: Sshd, second: Sshd) -> Path:
        """``inner``, behind ``jump``."""
        path = site.home / "ssh_config"
        path.write_text(
            f"Host jump\n  HostName 127.0.0.1\n  Port {first.port}\n  User {USER}\n"
            f"  IdentityFile {first.key}\n"
            f"Host inner\n  HostName 127.0.0.1\n  Port {second.port}\n  User {USER}\n"
            f"  IdentityFile {second.key}\n  ProxyJump jump\n"
        )
        return path

    def test_an_alias_and_its_jump_host(self, site: Site, config: Path, first: Sshd) -> None:
        before = first.connections
        works(site.type("./fab", "-S", str(config), "-H", "inner", "deploy"))
        assert list(site.written()) == ["inner"]
        assert first.connections == before + 1

    def test_the_users_own_ssh_config_counts_for_both_programs(
        self, site: Site, config: Path
    ) -> None:
        (site.home / ".ssh").mkdir(mode=0o700)
        config.rename(site.home / ".ssh" / "config")
        works(site.type("./fab", "-H", "inner", "deploy"))
        site.inventory("all: {hosts: {inner: }}\n")
        assert "inner : ok=1" in works(site.type("./inv", "deploy", "--hosts", "inner"))

    def test_jump_hosts_are_trusted_along_the_way(
        self, site: Site, config: Path, first: Sshd, second: Sshd
    ) -> None:
        site.known_hosts.unlink()
        said = fails(site.type("./fab", "-S", str(config), "-H", "inner", "deploy"))
        command = f"./fab -S {config} -H inner trust"
        assert f"[127.0.0.1]:{first.port}" in said and command in said
        works(site.type(*command.split(), "--yes"))
        kept = site.own_known_hosts.read_text()
        assert kept == first.known_hosts.read_text() + second.known_hosts.read_text()
        works(site.type("./fab", "-S", str(config), "-H", "inner", "deploy"))

    def test_a_jump_host_that_refuses_the_login_is_the_one_that_is_named(
        self, site: Site, config: Path, first: Sshd
    ) -> None:
        key = make_key(site.home / "strange")
        config.write_text(config.read_text().replace(str(first.key), str(key)))
        said = fails(site.type("./fab", "-S", str(config), "-H", "inner", "deploy"))
        assert f"{USER}@127.0.0.1:{first.port}, on the way to inner, refused the login" in said


class TestMistakes:
    def test_an_unknown_host(self, site: Site) -> None:
        said = fails(site.type("./inv", "deploy", "--hosts", "gpu-9"), 2)
        assert "'gpu-9' is neither a host nor a group" in said and "gpu-1, gpu-2" in said
        said = fails(site.type("./fab", "-H", "gpu 9:", "deploy"), 2)
        assert "neither in the inventory nor of the form user@host:port" in said

    def test_a_name_without_an_address(self, site: Site) -> None:
        said = fails(site.type("./fab", "-H", "no-such.invalid", "deploy"))
        assert "no address is known for no-such.invalid" in said and "ansible_host" in said

    @pytest.mark.parametrize("command", [["deploy"], ["uptime"], ["trust", "--yes"]])
    def test_a_closed_port(self, site: Site, command: list[str]) -> None:
        port = free_port()
        said = fails(site.type("./fab", "-H", f"joe@127.0.0.1:{port}", *command))
        assert f"joe@127.0.0.1:{port} cannot be reached: connection refused" in said
        assert f"ssh -p {port} joe@127.0.0.1" in said

    def test_a_port_that_never_answers(self, site: Site) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            name = f"127.0.0.1:{silent.getsockname()[1]}"
            said = fails(site.type("./fab", "-t", "1", "-H", name, "deploy"))
        assert "did not answer within 1 s" in said

    def test_a_refused_key(self, site: Site, first: Sshd) -> None:
        key = make_key(site.home / "strange")
        name = f"{USER}@127.0.0.1:{first.port}"
        said = fails(site.type("./fab", "-i", str(key), "-H", name, "deploy"))
        assert f"{name} refused the login" in said and "-i KEY" in said

    def test_a_key_with_a_passphrase(self, site: Site, first: Sshd) -> None:
        key = site.home / "locked"
        key.write_bytes(first.key.read_bytes())
        key.chmod(0o600)
        command = ["ssh-keygen", "-q", "-p", "-N", "open sesame", "-f", str(key)]
        subprocess.run(command, check=True, capture_output=True)
        name = f"{USER}@127.0.0.1:{first.port}"
        said = fails(site.type("./fab", "-i", str(key), "-H", name, "deploy"))
        assert "passphrase" in said and "--prompt-for-passphrase" in said
        fab = [str(site.root / "fab"), "-i", str(key), "--prompt-for-passphrase"]
        answer = ("Enter passphrase for use unlocking SSH keys: ", "open sesame\n")
        status, shown = site.converse([*fab, "-H", name, "deploy"], [answer])
        assert status == 0 and "sesame" not in shown, shown

    def test_a_key_file_that_is_missing(self, site: Site, first: Sshd) -> None:
        name = f"{USER}@127.0.0.1:{first.port}"
        said = fails(site.type("./fab", "-i", "/no/such/key", "-H", name, "uptime"))
        assert "the private key /no/such/key does not exist" in said

    def test_hosts_by_both_options(self, site: Site) -> None:
        done = site.type("./fab", "-H", "gpu-1", "deploy", "--hosts", "gpu-2")
        assert done.returncode == 2 and "given twice" in done.stderr

    def test_another_account_than_root(self, site: Site, first: Sshd) -> None:
        host = entry("db", first, ansible_become_user="postgres")
        site.inventory(f"all:\n  hosts:\n    db: {host}\n")
        said = fails(site.type("./inv", "deploy", "--hosts", "db"), 2)
        assert "ansible_become_user is postgres, and Rolecall becomes only root" in said
        assert "ansible_user" in said and site.written() == {}
