"""``./inv verify`` and ``./fab verify`` as users type them: a project of their own, over SSH."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.cli.remote import Site
from tests.integration.verify.verified import Verified, plainly
from tests.rig.machines import Machine
from tests.rig.sshd import USER, Sshd, free_port

Done = subprocess.CompletedProcess[str]

_IMPORT = "from rolecall.cli import fleet, tasks"
_TASK = "    tasks.plan_task(project),\n"

_CHECKS = '''
"""What has to hold of the notes."""

from roles.note.role import Note, note


def test_the_note_says_its_text(host, described):
    settings = described.settings(Note)
    there = host.file(f"{settings.folder}/{described.name}")
    text = there.content_string if there.exists else "nothing"
    assert text == settings.text, (
        f"the note of {described.name} says {text}, and should say {settings.text}\\nnext: deploy"
    )


def test_all_is_as_declared(described, as_declared):
    as_declared(*note.resources(described))


def test_root_has_its_own(host, described):
    import pytest
    if not described.settings(Note).secret:
        pytest.skip("there is none")
    with host.sudo():
        there = host.file(f"/srv/{described.name}")
        assert there.exists and there.user == "root" and there.mode == 0o600, "no note of root"
        assert host.user().name == "root"
    assert host.user().name != "root"
'''

_OWN = '''
import pytest


def test_the_shell_has_the_name_of_the_user(host, described):
    assert host.run("id -un").stdout == f"{described.facts.user}\\n"


@pytest.mark.parametrize("text", ["a b", "it's", "$x", "\\n", "ü", "%s", "\\n two \\n\\n"])
def test_output_errors_and_status_come_back_as_they_were(host, text):
    done = host.run("printf '%%s' %s; printf '%%s' %s >&2; exit 3", text, text)
    assert (done.rc, done.stdout) == (3, text)
    assert done.stderr.rstrip("\\n") == text.rstrip("\\n")


def test_nothing_of_rolecall(host):
    assert host.package("no-such-package").is_installed is False


def test_without_a_host():
    """A plain test of pytest."""
'''


_SLOW = """
import time

from roles.note.role import Note


def test_slow(described):
    assert described.settings(Note).text == {secret!r}
    time.sleep(3)
"""


def verifying(site: Site) -> Site:
    """The project, with checks of its role and of its user."""
    tasks = site.root / "tasks.py"
    text = tasks.read_text().replace(
        _IMPORT, f"{_IMPORT}\nfrom rolecall.cli.verify import verify_task"
    )
    tasks.write_text(text.replace(_TASK, f"{_TASK}    verify_task(project),\n"))
    (site.root / "roles" / "note" / "verify.py").write_text(_CHECKS)
    (site.root / "verify").mkdir()
    (site.root / "verify" / "test_own.py").write_text(_OWN)
    return site


def entry(name: str, server: Sshd, **more: object) -> dict[str, object]:
    """Host ``name``: this machine, by way of ``server``."""
    return {
        "ansible_host": "127.0.0.1",
        "ansible_port": server.port,
        "ansible_user": USER,
        "ansible_ssh_private_key_file": str(server.key),
        "rolecall": {"home": str(server.folder / f"home-{name}")},
        **more,
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    made = Sshd(tmp_path_factory.mktemp("sshd")).start()
    yield made
    made.stop()


@pytest.fixture
def site(tmp_path: Path, server: Sshd) -> Site:
    """Two hosts over SSH, deployed, and one that nobody listens on."""
    made = verifying(Site.make(tmp_path))
    hosts = {name: entry(name, server) for name in ("gpu-1", "gpu-2")}
    gone = {"gpu-3": entry("gpu-3", server, ansible_port=free_port())}
    made.inventory(json.dumps({"all": {"children": {"gpu": {"hosts": hosts}}, "hosts": gone}}))
    made.known_hosts.write_text(server.known_hosts.read_text())
    done = made.type("./inv", "deploy", "--hosts", "gpu")
    assert done.returncode == 0, done.stdout + done.stderr
    return made


def verify(site: Site, hosts: str, *more: str, status: int = 0) -> Done:
    done = site.type("./inv", "verify", "--hosts", hosts, *more, timeout=300)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def test_each_host_is_verified_over_one_connection(site: Site, server: Sshd) -> None:
    before = server.connections
    done = verify(site, "gpu-1")
    assert "roles/note/verify.py::test_the_note_says_its_text[gpu-1] PASSED" in done.stdout
    assert "verify/test_own.py::test_without_a_host PASSED" in done.stdout
    assert server.connections == before + 1


def test_hosts_are_verified_side_by_side_and_told_by_name(site: Site, server: Sshd) -> None:
    before = server.connections
    (site.notes / "gpu-2").write_text("something else")
    junit = site.root / "out" / "verify.xml"
    done = verify(site, "gpu", "--junit", str(junit), status=1)
    assert Verified.read(junit, "gpu-1").only() == {}
    said = Verified.read(junit, "gpu-2").only(
        "note::the_note_says_its_text", "note::all_is_as_declared"
    )
    told = said["note::the_note_says_its_text"]
    assert "the note of gpu-2 says something else, and should say from the default" in told
    for each in said.values():
        plainly(each)
    assert "roles/note/verify.py::test_the_note_says_its_text[gpu-2]" in done.stdout
    assert "@gpu-2" not in done.stdout
    assert server.connections == before + 2


def test_a_host_that_cannot_be_reached_hides_no_other(site: Site) -> None:
    junit = site.root / "verify.xml"
    done = verify(site, "all", "--junit", str(junit), status=1)
    for name in ("gpu-1", "gpu-2"):
        found = Verified.read(junit, name)
        assert "note::the_note_says_its_text" in found.passed
        found.only()
    gone = Verified.read(junit, "gpu-3")
    assert not gone.passed and not gone.failed
    (said,) = gone.errors.values()
    assert "gpu-3" in said and "next: " in said and "Traceback" not in said
    assert set(gone.skipped.values()) and "Traceback" not in done.stdout


def test_fab_verifies_the_hosts_that_it_is_given(site: Site) -> None:
    done = site.type("./fab", "-H", "gpu-2", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_the_note_says_its_text[gpu-2] PASSED" in done.stdout
    assert "gpu-1" not in done.stdout


def test_a_setting_of_the_command_line_holds_in_every_process(site: Site) -> None:
    done = verify(site, "gpu", "--set", "note.text=other", "--tags", "note", status=1)
    for name in ("gpu-1", "gpu-2"):
        assert f"the note of {name} says from the default, and should say other" in done.stdout
    assert "test_own" not in done.stdout


def test_options_of_pytest_pass_through(site: Site) -> None:
    for path in site.notes.iterdir():
        path.write_text("broken")
    done = verify(site, "gpu-1", "--pytest", "-k 'note_says' -x", status=1)
    assert "1 failed" in done.stdout and "deselected" in done.stdout
    done = verify(site, "gpu-1", "--pytest", "-x", status=1)
    assert "1 failed" in done.stdout and "stopping after 1 failures" in done.stdout
    done = verify(site, "gpu-1", "--pytest", "--collect-only -q")
    assert "test_all_is_as_declared[gpu-1]" in done.stdout


@pytest.mark.parametrize("hosts", ["gpu-1", "gpu"])
def test_a_file_of_checks_that_cannot_be_read_is_told_with_its_line_and_hides_no_other(
    site: Site, hosts: str
) -> None:
    broken = {
        "syntax": ("\n\ndef test_it(host:\n", "SyntaxError", 3),
        "missing": ("\nimport no_such_module\n", "No module named 'no_such_module'", 2),
        "script": ("import sys\n\n\nsys.exit(0)\n", "SystemExit", 4),
    }
    well = verify(site, hosts)
    for name, (text, _, _) in broken.items():
        (site.root / "verify" / f"test_{name}.py").write_text(text)
    skipping = 'import pytest\n\npytest.skip("not here", allow_module_level=True)\n'
    (site.root / "verify" / "test_skipping.py").write_text(skipping)
    done = verify(site, hosts, "--pytest", "-rs", status=1)
    for name, (_, said, line) in broken.items():
        assert said in done.stdout
        assert f"(verify/test_{name}.py:{line})" in done.stdout
    assert "/site-packages/" not in done.stdout + done.stderr, "one screen, no traceback"
    assert "SKIPPED" in done.stdout and "not here" in done.stdout
    passed = re.search(r"\d+ passed", well.stdout)
    assert passed and passed[0] in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("-k nothing_of_that_name", "no check was chosen"),
        ("--no-such-option", "--no-such-option"),
        ("-k 'open", "--pytest"),
    ],
)
def test_options_that_mean_nothing_are_refused(site: Site, given: str, told: str) -> None:
    done = verify(site, "gpu-1", "--pytest", given, status=2)
    assert told in done.stderr and "next: " in done.stderr and "Traceback" not in done.stderr


def test_a_secret_reaches_the_workers_and_no_command_line(
    site: Site, server: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "kept-to-itself-7261"
    (site.root / "verify" / "test_slow.py").write_text(_SLOW.format(secret=secret))
    command = ["./inv", "verify", "--hosts", "gpu", "--pytest", "-k slow"]
    (site.root / "inventory" / "group_vars" / "gpu.yaml").write_text("note: {text: !env NOTE}\n")
    environment = {**site.environment(), "NOTE": secret}
    with subprocess.Popen(
        command, cwd=site.root, env=environment, stdout=subprocess.PIPE, text=True
    ) as running:
        seen: set[str] = set()
        while running.poll() is None:
            seen |= command_lines()
            time.sleep(0.1)
        assert running.stdout is not None
        assert running.returncode == 0, running.stdout.read()
    assert seen and not any(secret in line for line in seen)


def command_lines() -> set[str]:
    """Of every process on this machine."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            found.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


# --- sudo --------------------------------------------------------------------------------------

PASSWORD = "it's a \"$(pass) word\\n%s"
FABRIC = "Desired 'sudo.password' config value: "
OURS = "Password for sudo on "


@pytest.fixture
def rooted(tmp_path: Path, machine: Machine) -> Iterator[Site]:
    """Two names of a machine where root, by a password, has a note of its own; deployed."""
    machine.add_user("joe", PASSWORD)
    machine.sh(
        "rm -rf /etc/sudoers.d/* /srv/gpu-* /home/joe/rc-* /run/sudo/ts/*\n"
        "mkdir -p /home/joe/notes; chown joe: /home/joe/notes\n"
        "echo 'joe ALL=(ALL) ALL' >/etc/sudoers.d/joe; chmod 440 /etc/sudoers.d/joe"
    )
    made = verifying(Site.make(tmp_path))
    login = {
        "ansible_host": machine.address,
        "ansible_port": machine.port,
        "ansible_user": "joe",
        "ansible_ssh_private_key_file": str(machine.folder / "key"),
    }
    hosts = {
        name: {
            **login,
            "note": {"folder": "/home/joe/notes", "secret": "root's own"},
            "rolecall": {"home": f"/home/joe/rc-{name}"},
        }
        for name in ("gpu-1", "gpu-2")
    }
    made.inventory(json.dumps({"all": {"children": {"gpu": {"hosts": hosts}}}}))
    made.known_hosts.write_text((machine.folder / "known_hosts").read_text())
    command = [str(made.root / "fab"), "--prompt-for-sudo-password", "-H", "gpu", "deploy"]
    status, shown = made.converse(command, [(FABRIC, f"{PASSWORD}\n")])
    assert status == 0, shown
    yield made
    machine.sh("rm -rf /etc/sudoers.d/* /srv/gpu-*")


def test_a_password_is_asked_for_once_and_serves_all_hosts(rooted: Site) -> None:
    command = [str(rooted.root / "fab"), "--prompt-for-sudo-password", "-H", "gpu", "verify"]
    status, shown = rooted.converse(command, [(FABRIC, f"{PASSWORD}\n")], timeout=200)
    assert status == 0, shown
    assert shown.count(FABRIC) == 1 and OURS not in shown and "it's a" not in shown


def test_inv_asks_for_a_password_where_sudo_does(rooted: Site) -> None:
    command = [str(rooted.root / "inv"), "verify", "--hosts", "gpu-1"]
    status, shown = rooted.converse(command, [(OURS, f"{PASSWORD}\n")], timeout=200)
    assert status == 0, shown
    assert shown.count(OURS) == 1 and "it's a" not in shown


def test_what_root_alone_can_see_is_an_error_without_the_password(rooted: Site) -> None:
    done = verify(rooted, "gpu", status=1)
    assert "sudo on gpu-1 needs a password" in done.stdout
    assert "next: set ansible_become_password" in done.stdout
    assert "test_the_note_says_its_text" not in done.stdout.partition("FAILURES")[2]


def test_a_password_in_the_inventory_reaches_every_process(
    rooted: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = rooted.root / "inventory" / "group_vars"
    (folder / "gpu.yaml").write_text("ansible_become_password: !env SECRET\n")
    monkeypatch.setitem(os.environ, "SECRET", PASSWORD)
    done = verify(rooted, "gpu")
    assert "failed" not in done.stdout and PASSWORD not in done.stdout + done.stderr
