"""Getting in: host keys, keys, passwords, names, and accounts whose shell is no shell."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rolecall.errors import UnreachableError
from rolecall.targets.ssh import Address, Patience, SshTarget
from tests.integration.loop.acts import makes
from tests.rig.sshd import USER, Sshd, fingerprint, free_port, make_key
from tests.support import converge

BRIEF = Patience(connect=1, keepalive=1, lost=2)


def refused(target: SshTarget) -> str:
    """Message and hint with which a target cannot be opened."""
    with pytest.raises(UnreachableError) as caught:
        target.open_shell().close()
    return f"{caught.value.message}\n{caught.value.hint}"


def opens(target: SshTarget) -> bool:
    target.open_shell().close()
    return True


class TestHostKeys:
    def test_unknown_it_is_refused_with_its_fingerprint_and_the_way_to_accept_it(
        self, sshd: Sshd
    ) -> None:
        said = refused(sshd.target("gpu-1", known_hosts=()))
        assert fingerprint(sshd.folder / "host_key.pub") in said
        assert f"[127.0.0.1]:{sshd.port}" in said
        assert "./inv trust --hosts gpu-1" in said

    def test_an_unknown_key_is_an_unreachable_host_and_nothing_is_run(
        self, sshd: Sshd, tmp_path: Path, home: Path
    ) -> None:
        channels = sshd.channels
        run = converge([makes(tmp_path / "a")], home, target=sshd.target(known_hosts=()))
        assert run.done["host"].outcome == "unreachable"
        assert sshd.channels == channels
        assert not (tmp_path / "a").exists() and not home.exists()

    def test_changed_it_is_refused_loudly_with_both_fingerprints(self, own_sshd: Sshd) -> None:
        assert opens(own_sshd.target())
        known = fingerprint(own_sshd.folder / "host_key.pub")
        own_sshd.new_host_key()
        said = refused(own_sshd.target("gpu-1"))
        assert "THE KEY OF gpu-1 HAS CHANGED" in said
        assert known in said and fingerprint(own_sshd.folder / "host_key.pub") in said
        assert f"{own_sshd.known_hosts}:1" in said
        assert "./inv trust --hosts gpu-1 --replace" in said

    def test_a_known_hosts_file_may_be_hashed(self, sshd: Sshd, tmp_path: Path) -> None:
        hashed = tmp_path / "hashed"
        hashed.write_bytes(sshd.known_hosts.read_bytes())
        subprocess.run(["ssh-keygen", "-H", "-f", hashed], check=True, capture_output=True)
        assert hashed.read_text().startswith("|1|")
        assert opens(sshd.target(known_hosts=(hashed,)))

    def test_a_file_that_does_not_exist_accepts_nothing(self, sshd: Sshd, tmp_path: Path) -> None:
        assert "not known" in refused(sshd.target(known_hosts=(tmp_path / "none",)))

    def test_a_shown_key_can_be_accepted_and_then_is_known(
        self, sshd: Sshd, tmp_path: Path
    ) -> None:
        file = tmp_path / "inventory" / "known_hosts"
        ((shown, known),) = sshd.target(known_hosts=()).shown_keys()
        assert shown.fingerprint == fingerprint(sshd.folder / "host_key.pub")
        assert known.judge(shown).verdict == "unknown" and not file.exists()
        shown.accept(file)
        assert file.read_text() == sshd.known_hosts.read_text()
        assert opens(sshd.target(known_hosts=(file,)))

    def test_in_a_hashed_file_the_accepted_key_is_hashed_and_other_lines_stay(
        self, sshd: Sshd, tmp_path: Path
    ) -> None:
        file = tmp_path / "known_hosts"
        file.write_text(f"other {sshd.public_host_key}")
        subprocess.run(["ssh-keygen", "-H", "-f", file], check=True, capture_output=True)
        before = file.read_text().rstrip("\n")
        file.write_text(before)  # without a newline at its end
        ((shown, _),) = sshd.target(known_hosts=()).shown_keys()
        shown.accept(file)
        assert file.read_text().startswith(f"{before}\n|1|")
        assert "127.0.0.1" not in file.read_text()
        assert opens(sshd.target(known_hosts=(file,)))

    @pytest.mark.parametrize(
        ("line", "verdict"),
        [
            ("[127.0.0.1]:{port} {key}", "known"),
            ("127.0.0.1 {key}", "known"),  # of the host, whatever its port, as ssh has it
            ("gpu-9,[127.0.0.1]:{port} {key} a comment", "known"),
            ("[127.0.0.*]:{port} {key}", "known"),
            ("[127.0.0.*]:*,![127.0.0.1]:{port} {key}", "unknown"),
            ("[127.0.0.1]:1{port} {key}", "unknown"),
            ("# [127.0.0.1]:{port} {key}", "unknown"),
            ("@cert-authority [127.0.0.1]:{port} {key}", "unknown"),
            ("@revoked * {key}", "revoked"),
            ("[127.0.0.1]:{port} {key}\n@revoked [127.0.0.1]:{port} {key}", "revoked"),
            ("[127.0.0.1]:{port} {other}", "changed"),
            ("[127.0.0.1]:{port} ssh-rsa AAAAB3NzaC1yc2E=", "changed"),
            ("[127.0.0.1]:{port} {other}\n[127.0.0.1]:{port} {key}", "known"),
            ("[127.0.0.1]:{port} ssh-ed25519", "unknown"),
        ],
    )
    def test_lines_mean_what_they_mean_to_ssh(
        self, sshd: Sshd, tmp_path: Path, line: str, verdict: str
    ) -> None:
        file = tmp_path / "known_hosts"
        other = make_key(tmp_path / "other").with_suffix(".pub").read_text()
        text = line.format(port=sshd.port, key=sshd.public_host_key, other=other.strip())
        file.write_text(f"\n{text}\n")
        target = sshd.target("gpu-1", known_hosts=(file,))
        ((shown, known),) = target.shown_keys()
        assert known.judge(shown).verdict == verdict
        if verdict == "known":
            assert opens(target)
        else:
            said = refused(target)
            assert {"unknown": "not known", "changed": "CHANGED", "revoked": "REVOKED"}[
                verdict
            ] in said

    def test_it_is_asked_for_the_kind_of_key_that_is_known(self, tmp_path: Path) -> None:
        folder = tmp_path / "sshd"
        folder.mkdir(mode=0o700)
        rsa = make_key(folder / "rsa", "rsa")
        server = Sshd(folder, extra=(f"HostKey {rsa}",)).start()
        try:
            key = " ".join((folder / "rsa.pub").read_text().split()[:2])
            server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {key}\n")
            assert opens(server.target())
        finally:
            server.stop()

    def test_a_file_that_cannot_be_read_is_no_reason_to_go_on(self, sshd: Sshd) -> None:
        file = Path("/proc/self/mem")  # its first page: not even for root
        assert f"{file} cannot be read" in refused(sshd.target(known_hosts=(file,)))


class TestCredentials:
    def test_a_wrong_key_is_refused_naming_the_account(self, sshd: Sshd, tmp_path: Path) -> None:
        key = make_key(tmp_path / "other")
        said = refused(sshd.target("gpu-1", key_files=(str(key),)))
        assert f"gpu-1 ({USER}@127.0.0.1:{sshd.port}) refused the login" in said
        assert "ansible_ssh_private_key_file" in said

    def test_a_key_file_that_is_missing_is_named(self, sshd: Sshd) -> None:
        said = refused(sshd.target(key_files=("/nowhere/key",)))
        assert "the private key /nowhere/key does not exist" in said

    def test_a_key_with_a_passphrase_opens_with_it_and_not_without(
        self, own_sshd: Sshd, tmp_path: Path
    ) -> None:
        key = make_key(tmp_path / "locked", passphrase="open sesame")
        with (own_sshd.folder / "authorized_keys").open("a") as file:
            file.write((tmp_path / "locked.pub").read_text())
        assert opens(own_sshd.target(key_files=(str(key),), passphrase="open sesame"))
        assert "passphrase" in refused(own_sshd.target(key_files=(str(key),)))

    def test_a_password_that_the_server_does_not_take_is_a_refused_login(self, sshd: Sshd) -> None:
        target = sshd.target(key_files=(), password="s3cret")
        said = refused(target)
        assert "refused the login" in said
        assert "s3cret" not in said and "s3cret" not in repr(sshd.address(password="s3cret"))


class TestNetwork:
    def test_a_closed_port(self) -> None:
        port = free_port()
        said = refused(SshTarget("gpu-1", Address("127.0.0.1", port, "joe")))
        assert f"gpu-1 (joe@127.0.0.1:{port}) cannot be reached: connection refused" in said
        assert f"ssh -p {port} joe@127.0.0.1" in said

    def test_a_name_that_nobody_knows(self) -> None:
        said = refused(SshTarget("gpu-1", Address("no-such-host.invalid", 22, "joe")))
        assert "no address is known for no-such-host.invalid" in said
        assert "ansible_host" in said

    def test_a_port_that_accepts_and_never_answers(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            said = refused(SshTarget("gpu-1", Address("127.0.0.1", port, patience=BRIEF)))
        assert "did not answer within 1 s" in said

    def test_a_port_that_is_no_ssh_server(self) -> None:
        with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
            said = refused(SshTarget("gpu-1", Address("127.0.0.1", port, patience=BRIEF)))
        assert "gpu-1" in said and str(port) in said

    def test_nothing_of_a_refused_login_reaches_standard_error(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with answering(b"junk\n") as port:
            refused(SshTarget("gpu-1", Address("127.0.0.1", port, patience=BRIEF)))
        assert capfd.readouterr() == ("", "")


@contextmanager
def answering(data: bytes) -> Iterator[int]:
    """A port that answers a connection with ``data`` and closes it."""

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, daemon=True).start()
        yield listener.getsockname()[1]


class TestLoginShell:
    """ForceCommand stands in for the login shell: sshd runs it in place of what was asked."""

    @pytest.fixture
    def forced(self, tmp_path: Path) -> Iterator[object]:
        servers: list[Sshd] = []

        def start(command: str) -> Sshd:
            server = Sshd(tmp_path / f"sshd{len(servers)}", extra=(f"ForceCommand {command}",))
            servers.append(server.start())
            return server

        yield start
        for server in servers:
            server.stop()

    def test_noise_of_a_login_script_is_passed_over(
        self, forced, tmp_path: Path, home: Path
    ) -> None:
        login = tmp_path / "login.sh"
        login.write_text('printf "Welcome!\\n@@pid is not here\\n@"; eval "$SSH_ORIGINAL_COMMAND"')
        server = forced(f"/bin/sh {login}")
        run = converge([makes(tmp_path / "a")], home, target=server.target())
        assert set(run.outcomes.values()) == {"changed"}, run.text
        assert "Welcome" not in run.text

    @pytest.mark.parametrize(
        ("command", "says"),
        [
            ("/bin/false", "no shell on gpu-1"),
            ("/usr/sbin/nologin", "not available"),
            ("echo This account is closed. >&2; exit 1", "This account is closed."),
        ],
    )
    def test_an_account_without_a_shell_says_so(self, forced, command: str, says: str) -> None:
        if command.startswith("/") and not os.path.exists(command):
            pytest.skip(f"{command} is not installed")
        said = refused(forced(command).target("gpu-1"))
        assert "no shell on gpu-1" in said and says in said
        assert "try ssh -p" in said

    def test_a_login_script_that_hangs_is_given_up(self, forced) -> None:
        said = refused(forced("sleep 30").target("gpu-1", patience=BRIEF))
        assert "no shell on gpu-1: it did not start within 1 s" in said

    @pytest.mark.parametrize("shell", ["tcsh", "fish", "bash", "dash"])
    def test_any_shell_that_runs_commands_will_do(
        self, forced, shell: str, tmp_path: Path, home: Path
    ) -> None:
        found = next((f"{d}/{shell}" for d in ("/bin", "/usr/bin") if Path(d, shell).exists()), "")
        if not found:
            pytest.skip(f"{shell} is not installed")
        login = tmp_path / "login.sh"
        login.write_text(f'exec {found} -c "$SSH_ORIGINAL_COMMAND"')
        server = forced(f"/bin/sh {login}")
        run = converge([makes(tmp_path / "a")], home, target=server.target())
        assert set(run.outcomes.values()) == {"changed"}, run.text


class TestSshConfig:
    def test_alias_port_user_and_key_come_from_ssh_config(self, sshd: Sshd, tmp_path: Path) -> None:
        config = tmp_path / "config"
        config.write_text(
            f"Host gpu\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User {USER}\n"
            f"  IdentityFile {sshd.key}\n  UserKnownHostsFile {sshd.known_hosts}\n"
        )
        assert opens(SshTarget("gpu-1", Address("gpu", ssh_config=config)))

    def test_what_the_inventory_says_goes_before_ssh_config(
        self, sshd: Sshd, tmp_path: Path
    ) -> None:
        config = tmp_path / "config"
        config.write_text("Host 127.0.0.1\n  Port 1\n  User nobody-at-all\n")
        assert opens(sshd.target(ssh_config=config))

    @pytest.mark.parametrize("knows", ["both", "target", "jump"])
    def test_a_jump_host_is_verified_like_its_target(
        self, sshd: Sshd, own_sshd: Sshd, tmp_path: Path, knows: str
    ) -> None:
        config = tmp_path / "config"
        config.write_text(
            f"Host jump\n  HostName 127.0.0.1\n  Port {own_sshd.port}\n"
            f"  User {USER}\n  IdentityFile {own_sshd.key}\n"
            f"Host gpu\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User {USER}\n"
            f"  IdentityFile {sshd.key}\n  ProxyJump jump\n"
        )
        files = {
            "both": (sshd.known_hosts, own_sshd.known_hosts),
            "target": (sshd.known_hosts,),
            "jump": (own_sshd.known_hosts,),
        }[knows]
        before = own_sshd.connections
        target = SshTarget("gpu-1", Address("gpu", ssh_config=config, known_hosts=files))
        if knows == "both":
            assert opens(target)
        else:
            unknown = own_sshd if knows == "target" else sshd
            assert fingerprint(unknown.folder / "host_key.pub") in refused(target)
        assert own_sshd.connections == before + 1

    def test_several_jump_hosts_are_passed_in_their_order(
        self, sshd: Sshd, own_sshd: Sshd, tmp_path: Path
    ) -> None:
        last = Sshd(tmp_path / "last").start()
        try:
            config = tmp_path / "config"
            config.write_text(
                "".join(
                    f"Host {name}\n  HostName 127.0.0.1\n  Port {server.port}\n  User {USER}\n"
                    f"  IdentityFile {server.key}\n  UserKnownHostsFile {server.known_hosts}\n"
                    for name, server in (("first", sshd), ("second", own_sshd), ("gpu", last))
                )
                + "Host gpu\n  ProxyJump first,second\n"
            )
            assert opens(SshTarget("gpu-1", Address("gpu", ssh_config=config)))
            ports = [
                line.split()[3]
                for line in (own_sshd.log + last.log).splitlines()
                if line.startswith("Connection from ")
            ]
            assert len(ports) == 2
        finally:
            last.stop()

    def test_a_jump_host_may_be_given_with_the_address(
        self, sshd: Sshd, own_sshd: Sshd, tmp_path: Path
    ) -> None:
        known = (sshd.known_hosts, own_sshd.known_hosts)
        keys = (str(sshd.key), str(own_sshd.key))
        jump = f"{USER}@localhost:{own_sshd.port}"
        with (tmp_path / "more").open("w") as file:
            file.write(own_sshd.known_hosts.read_text().replace("127.0.0.1", "localhost"))
        target = sshd.target(
            proxy_jump=jump, known_hosts=(*known, tmp_path / "more"), key_files=keys
        )
        assert opens(target)
        assert own_sshd.connections == 1

    def test_a_proxy_command_carries_the_connection(self, sshd: Sshd, tmp_path: Path) -> None:
        program = tmp_path / "carry.py"
        program.write_text(CARRY)
        used = tmp_path / "used"
        command = f"{sys.executable} {program} {sshd.port} {used}"
        target = sshd.target(proxy_command=command)
        assert opens(target) and used.exists()
        ((shown, known),) = target.shown_keys()
        assert known.judge(shown).verdict == "known"


#: What netcat does, for machines without one.
CARRY = """
import os, pathlib, socket, sys, threading
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
pathlib.Path(sys.argv[2]).touch()
def up():
    while data := os.read(0, 65536):
        connection.sendall(data)
    os._exit(0)
threading.Thread(target=up, daemon=True).start()
while data := connection.recv(65536):
    os.write(1, data)
"""
