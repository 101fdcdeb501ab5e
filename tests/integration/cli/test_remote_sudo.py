"""Root on hosts over SSH, for a user of ``./inv`` and ``./fab`` on a real terminal.

The hosts are one machine of the rig under two names.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.remote import Site
from tests.integration.cli.test_remote import fails, works
from tests.rig.machines import Machine

PASSWORD = "it's a \"$(pass) word\\n%s"
LOG = "/var/log/sudo-rig.log"
FABRIC = "Desired 'sudo.password' config value: "
OURS = "Password for sudo on "


@pytest.fixture
def machine(machine: Machine) -> Iterator[Machine]:
    """A machine where ``joe`` may become root with his password, and sudo keeps a log."""
    machine.add_user("joe", PASSWORD)
    machine.sh(
        f"rm -rf /etc/sudoers.d/* /srv/gpu-* /home/joe/rc-* /home/joe/notes /run/sudo/ts/* {LOG}\n"
        "mkdir -p /home/joe/notes; chown joe: /home/joe/notes\n"
        f"echo 'Defaults logfile={LOG}' >/etc/sudoers.d/log"
    )
    allow(machine, "joe ALL=(ALL) ALL")
    yield machine
    machine.sh("rm -f /etc/sudoers.d/*")


def allow(machine: Machine, *lines: str) -> None:
    text = "".join(f"{line}\n" for line in lines)
    machine.sh(f"cat >/etc/sudoers.d/joe <<'E'\n{text}E\nchmod 440 /etc/sudoers.d/*; visudo -cq")


def log(machine: Machine) -> str:
    """What sudo has logged, each record on one line."""
    return machine.sh(f"sed -e ':a' -e 'N' -e '$!ba' -e 's/\\n  */ /g' {LOG} 2>/dev/null || :")


@pytest.fixture
def site(tmp_path: Path, machine: Machine) -> Site:
    """Two hosts on which root has something to write."""
    made = Site.make(tmp_path)
    inventory(made, machine)
    return made


def inventory(site: Site, machine: Machine, secret: str = "root's own", **more: object) -> None:
    login = {
        "ansible_host": machine.address,
        "ansible_port": machine.port,
        "ansible_user": "joe",
        "ansible_ssh_private_key_file": str(machine.folder / "key"),
    }
    hosts = {
        name: {
            **login,
            **more,
            "note": {"folder": "/home/joe/notes", "secret": secret},
            "rolecall": {"home": f"/home/joe/rc-{name}"},
        }
        for name in ("gpu-1", "gpu-2")
    }
    site.inventory(json.dumps({"all": {"children": {"gpu": {"hosts": hosts}}}}))
    site.known_hosts.write_text((machine.folder / "known_hosts").read_text())


def deployed(machine: Machine) -> bool:
    said = machine.sh("stat -c '%n %U %a' /srv/gpu-* /home/joe/notes/* 2>/dev/null || :")
    return said.splitlines() == [
        "/srv/gpu-1 root 600",
        "/srv/gpu-2 root 600",
        "/home/joe/notes/gpu-1 joe 644",
        "/home/joe/notes/gpu-2 joe 644",
    ]


class TestFab:
    def command(self, site: Site, *more: str) -> list[str]:
        return [str(site.root / "fab"), "--prompt-for-sudo-password", "-H", "gpu", *more]

    def test_the_prompted_password_serves_all_hosts(self, site: Site, machine: Machine) -> None:
        answers = [(FABRIC, f"{PASSWORD}\n")]
        status, shown = site.converse(self.command(site, "deploy"), answers)
        assert status == 0, shown
        assert deployed(machine)
        assert shown.count(FABRIC) == 1 and OURS not in shown
        assert "it's a" not in shown
        status, shown = site.converse(self.command(site, "plan"), answers)
        assert status == 0 and "changed=0" in shown, shown

    def test_a_wrong_password_is_said_within_seconds_and_tried_once_a_host(
        self, site: Site, machine: Machine
    ) -> None:
        began = time.monotonic()
        status, shown = site.converse(self.command(site, "deploy"), [(FABRIC, "wr0ng\n")])
        assert status == 1 and time.monotonic() - began < 20
        assert "sudo on gpu-1 does not accept the password" in shown
        assert "wr0ng" not in shown
        assert log(machine).count("1 incorrect password attempt") == 2
        assert machine.sh("ls /srv | grep gpu || :") == ""

    def test_the_login_takes_a_prompted_password_as_well(
        self, site: Site, machine: Machine
    ) -> None:
        (site.home / ".ssh").mkdir(mode=0o700)
        site.inventory("all: {hosts: {}}\n")
        name = f"joe@{machine.address}:{machine.port}"
        command = [str(site.root / "fab"), "--prompt-for-login-password", "-H", name]
        question = "Enter login password for use with SSH auth: "
        status, shown = site.converse([*command, "uptime"], [(question, f"{PASSWORD}\n")])
        assert status == 0 and "up as joe" in shown, shown
        status, shown = site.converse([*command, "uptime"], [(question, "wr0ng\n")])
        assert status == 1 and f"{name} refused the login" in shown


class TestPrompt:
    """``./inv`` on a terminal asks by itself, once it is clear that sudo needs a password."""

    def test_it_asks_once_for_all_hosts(self, site: Site, machine: Machine) -> None:
        command = [str(site.root / "inv"), "deploy", "--hosts", "gpu"]
        question = f"{OURS}the 2 hosts of this run: "
        status, shown = site.converse(command, [(question, f"{PASSWORD}\n")])
        assert status == 0, shown
        assert shown.count(OURS) == 1 and "it's a" not in shown
        assert deployed(machine)

    def test_the_live_display_makes_room_for_the_question(
        self, site: Site, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            Site, "environment", lambda _: {**os.environ, "HOME": str(site.home), "TERM": "xterm"}
        )
        command = [str(site.root / "inv"), "deploy", "--hosts", "gpu"]
        status, shown = site.converse(command, [(OURS, f"{PASSWORD}\n")])
        assert status == 0, shown
        after = shown.split(OURS, 1)[1]
        assert "probing" not in after.split("\n", 1)[0]
        assert deployed(machine)

    @pytest.mark.parametrize("why", ["nothing needs root", "sudo needs no password"])
    def test_it_does_not_ask_in_vain(self, site: Site, machine: Machine, why: str) -> None:
        if why == "nothing needs root":
            inventory(site, machine, secret="")
        else:
            allow(machine, "joe ALL=(ALL) NOPASSWD: ALL")
        command = [str(site.root / "inv"), "deploy", "--hosts", "gpu"]
        status, shown = site.converse(command, [])
        assert status == 0 and OURS not in shown, shown
        if why == "nothing needs root":
            assert log(machine) == ""

    def test_a_wrong_answer_is_not_asked_for_again(self, site: Site, machine: Machine) -> None:
        command = [str(site.root / "inv"), "deploy", "--hosts", "gpu-1"]
        status, shown = site.converse(command, [(f"{OURS}gpu-1: ", "wr0ng\n")])
        assert status == 1 and "does not accept the password" in shown
        assert shown.count(OURS) == 1 and "wr0ng" not in shown
        assert log(machine).count("1 incorrect password attempt") == 1

    @pytest.mark.parametrize("typed", ["\x04", "\x03"], ids=["Ctrl-D", "Ctrl-C"])
    def test_no_answer_ends_the_run_at_once(self, site: Site, machine: Machine, typed: str) -> None:
        command = [str(site.root / "inv"), "deploy", "--hosts", "gpu"]
        began = time.monotonic()
        status, shown = site.converse(command, [(OURS, typed)], timeout=40)
        assert time.monotonic() - began < 30
        assert status == (130 if typed == "\x03" else 1), shown
        assert ("interrupted" if typed == "\x03" else "no password was typed") in shown
        assert "Traceback" not in shown and machine.sh("ls /srv | grep gpu || :") == ""

    def test_why_asks_as_well(self, site: Site) -> None:
        command = [str(site.root / "inv"), "why", "file:/srv/gpu-1", "--hosts", "gpu-1"]
        status, shown = site.converse(command, [(OURS, f"{PASSWORD}\n")])
        assert status == 0 and "would change" in shown, shown


class TestInventory:
    def test_the_password_comes_from_an_environment_variable(
        self, site: Site, machine: Machine
    ) -> None:
        inventory(site, machine)
        path = site.root / "inventory" / "group_vars" / "gpu.yaml"
        path.write_text("ansible_become_password: !env SUDO_OF_JOE\n")
        done = site.type("./inv", "deploy", "--hosts", "gpu", env={"SUDO_OF_JOE": PASSWORD})
        assert PASSWORD not in works(done) and deployed(machine)
        for record in (site.root / ".rolecall").rglob("*"):
            assert record.is_dir() or PASSWORD not in record.read_text()
        said = fails(site.type("./inv", "deploy", "--hosts", "gpu"))
        assert "the environment has no SUDO_OF_JOE" in said and "export SUDO_OF_JOE" in said

    def test_the_password_stands_in_the_inventory(self, site: Site, machine: Machine) -> None:
        inventory(site, machine, ansible_become_password=PASSWORD)
        works(site.type("./inv", "deploy", "--hosts", "gpu"))
        assert deployed(machine)

    def test_what_needs_no_root_needs_no_password(self, site: Site, machine: Machine) -> None:
        inventory(site, machine, secret="")
        path = site.root / "inventory" / "group_vars" / "gpu.yaml"
        path.write_text("ansible_become_password: !env SUDO_OF_JOE\n")
        works(site.type("./inv", "deploy", "--hosts", "gpu"))
        assert log(machine) == ""


class TestRefused:
    @pytest.mark.parametrize(
        ("rules", "says"),
        [
            (["joe ALL=(ALL) ALL"], "sudo on gpu-1 needs a password"),
            (["joe ALL=(ALL) NOPASSWD: /bin/true"], "does not let this user become root"),
            (
                ["Defaults:joe requiretty", "joe ALL=(ALL) NOPASSWD: ALL"],
                "sudo on gpu-1 insists on a terminal",
            ),
        ],
    )
    def test_each_refusal_says_what_to_do(
        self, site: Site, machine: Machine, rules: list[str], says: str
    ) -> None:
        allow(machine, *rules)
        if "user" in says:  # sudo -n asks for a password before it tells
            inventory(site, machine, ansible_become_password=PASSWORD)
        said = fails(site.type("./inv", "deploy", "--hosts", "gpu-1"))
        assert says in said
        assert machine.sh("ls /srv /home/joe/notes | grep gpu || :") == ""

    def test_a_host_without_sudo(self, site: Site, machine: Machine) -> None:
        machine.sh("mv /usr/bin/sudo /usr/bin/not-sudo")
        try:
            said = fails(site.type("./inv", "plan", "--hosts", "gpu-1"))
        finally:
            machine.sh("mv /usr/bin/not-sudo /usr/bin/sudo")
        assert "root is needed on gpu-1, and it has no sudo" in said
