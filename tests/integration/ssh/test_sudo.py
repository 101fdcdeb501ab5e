"""Root through sudo, with a real sudo on a machine of the rig."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rolecall.errors import ConfigError
from rolecall.resource import Resource
from rolecall.resources.directory import Directory
from rolecall.resources.file import File
from rolecall.shell import quote
from rolecall.sudo import SudoPassword
from rolecall.targets.ssh import SshTarget
from tests.integration.loop.acts import Act, exists
from tests.rig.machines import Machine
from tests.support import Result, converge

PASSWORD = "it's a \"$(pass) word\\n%s"
LOG = "/var/log/sudo-rig.log"

#: A directory that only root may write in.
ROOM = "/srv/room"


@pytest.fixture
def host(machine: Machine) -> Iterator[Machine]:
    """A machine where ``joe`` may do nothing yet, and sudo counts what it runs."""
    machine.add_user("joe", PASSWORD)
    machine.sh(
        f"rm -rf /etc/sudoers.d/* {ROOM} /home/joe/.rc /home/joe/mine /run/sudo/ts/joe {LOG}\n"
        f"mkdir -p {ROOM}\n"
        f"echo 'Defaults logfile={LOG}' >/etc/sudoers.d/log"
    )
    yield machine
    machine.sh("rm -f /etc/sudoers.d/*")


def allow(host: Machine, rule: str, *defaults: str) -> None:
    lines = "\n".join([*(f"Defaults {text}" for text in defaults), rule, ""])
    host.sh(f"cat >/etc/sudoers.d/joe <<'E'\n{lines}E\nchmod 440 /etc/sudoers.d/*; visudo -cq")


def uses(host: Machine) -> int:
    """How often sudo ran something."""
    return int(host.sh(f"cat {LOG} 2>/dev/null | tr '\\n' ' ' | grep -o COMMAND= | wc -l"))


def wanted() -> list[Resource]:
    return [
        Directory("/home/joe/mine"),
        File("/home/joe/mine/a", "as joe"),
        Directory(f"{ROOM}/b", sudo=True),
        File(f"{ROOM}/b/c", "as root, it's $HOME\n", mode="600", sudo=True),
        File("/home/joe/mine/d", "as joe again"),
    ]


def run(
    host: Machine,
    memory: Path,
    password: SudoPassword | str | None = None,
    resources: list[Resource] | None = None,
    *,
    user: str = "joe",
    check: bool = False,
    target: SshTarget | None = None,
) -> Result:
    if isinstance(password, str):
        password = SudoPassword(password)
    return converge(
        wanted() if resources is None else resources,
        Path("/root/.rc" if user == "root" else "/home/joe/.rc"),
        check,
        target=target or host.target("gpu-1", user),
        memory=memory,
        sudo_password=password,
    )


def works(host: Machine, memory: Path, password: SudoPassword | str | None = None) -> None:
    host.sh(f"rm -rf {ROOM}/b /home/joe/mine")
    first = run(host, memory, password)
    assert set(first.outcomes.values()) == {"changed"}, first.text
    owners = f"stat -c '%U %a' {ROOM}/b/c /home/joe/mine/a /home/joe/mine/d"
    assert host.sh(owners).splitlines() == ["root 600", "joe 644", "joe 644"]
    again = run(host, memory, password)
    assert set(again.outcomes.values()) == {"ok"}, again.text
    assert again.exchanges == 1


def refusal(result: Result) -> str:
    """Why the host failed; nothing was done."""
    assert list(result.outcomes) == ["host"], result.text
    assert result.done["host"].outcome == "failed"
    return f"{result.done['host'].reason}\n{result.done['host'].hint}"


class TestAllowed:
    def test_root_itself_uses_no_sudo(self, host: Machine, tmp_path: Path) -> None:
        asked: list[int] = []
        password = SudoPassword(lambda: asked.append(1) or "x")  # type: ignore[func-returns-value]
        host.sh("mkdir -p /home/joe/mine")
        result = run(host, tmp_path, password, user="root")
        assert set(result.outcomes.values()) <= {"changed", "ok"}, result.text
        assert uses(host) == 0 and asked == []

    def test_without_a_password(self, host: Machine, tmp_path: Path) -> None:
        allow(host, "joe ALL=(ALL) NOPASSWD: ALL")
        works(host, tmp_path)

    @pytest.mark.parametrize(
        "default",
        [
            "",
            "timestamp_timeout=0",
            "timestamp_type=ppid",
            "timestamp_type=tty",
            "timestamp_type=global",
            "lecture=always",
            "use_pty",
            "passwd_tries=1",
        ],
    )
    def test_with_a_password_whatever_becomes_of_tickets(
        self, host: Machine, tmp_path: Path, default: str
    ) -> None:
        allow(host, "joe ALL=(ALL) ALL", *([default] if default else []))
        works(host, tmp_path, PASSWORD)

    def test_a_password_that_sudo_does_not_ask_for_is_not_run_as_a_command(
        self, host: Machine, tmp_path: Path
    ) -> None:
        allow(host, "joe ALL=(ALL) NOPASSWD: ALL")
        works(host, tmp_path, "touch /srv/owned")
        assert host.sh("ls /srv | grep owned || :") == ""

    def test_only_what_needs_root_uses_sudo(self, host: Machine, tmp_path: Path) -> None:
        allow(host, "joe ALL=(ALL) NOPASSWD: ALL")
        plain: list[Resource] = [Directory("/home/joe/mine"), File("/home/joe/mine/a", "x")]
        host.sh("rm -rf /home/joe/mine")
        result = run(host, tmp_path, "unused", plain)
        assert set(result.outcomes.values()) == {"changed"}
        assert uses(host) == 0

    def test_a_change_that_needs_root_and_a_probe_that_does_not(
        self, host: Machine, tmp_path: Path
    ) -> None:
        class Open(Act):
            @property
            def probe_sudo(self) -> bool:
                return False

        allow(host, "joe ALL=(ALL) ALL")
        made = Open("made", exists(f"{ROOM}/made"), f"id -u >{ROOM}/made", sudo=True)
        host.sh(f"touch {ROOM}/made")
        assert run(host, tmp_path, None, [made]).outcomes == {made.id: "ok"}
        assert uses(host) == 0
        host.sh(f"rm {ROOM}/made")
        assert "needs a password" in refusal(run(host, tmp_path, None, [made]))
        assert run(host, tmp_path, PASSWORD, [made]).outcomes == {made.id: "changed"}
        assert host.sh(f"cat {ROOM}/made") == "0"


class TestRefused:
    def test_a_password_is_needed_and_none_was_given(self, host: Machine, tmp_path: Path) -> None:
        allow(host, "joe ALL=(ALL) ALL")
        for check in (False, True):
            said = refusal(run(host, tmp_path, check=check))
            assert "sudo on gpu-1 needs a password" in said
            assert "ansible_become_password" in said
        assert host.sh("ls -A /home/joe | grep -x -e mine -e .rc || :") == ""

    def test_a_wrong_password_is_tried_once(self, host: Machine, tmp_path: Path) -> None:
        allow(host, "joe ALL=(ALL) ALL")
        result = run(host, tmp_path, "wr0ng-guess")
        assert "sudo on gpu-1 does not accept the password" in refusal(result)
        assert "wr0ng-guess" not in result.text
        assert "1 incorrect password attempt" in host.sh(f"cat {LOG} | tr '\\n' ' '")

    @pytest.mark.parametrize("password", [None, PASSWORD])
    def test_a_user_whom_sudo_does_not_know(
        self, host: Machine, tmp_path: Path, password: str | None
    ) -> None:
        said = refusal(run(host, tmp_path, password))
        if password:  # without one, sudo asks before it tells
            assert "sudo does not let this user become root" in said
        else:
            assert "needs a password" in said

    def test_a_user_who_may_run_something_else(self, host: Machine, tmp_path: Path) -> None:
        allow(host, "joe ALL=(ALL) NOPASSWD: /usr/bin/id")
        assert "sudo does not let this user" in refusal(run(host, tmp_path, PASSWORD))

    def test_a_host_without_sudo(self, host: Machine, tmp_path: Path) -> None:
        host.sh("mv /usr/bin/sudo /usr/bin/not-sudo")
        try:
            said = refusal(run(host, tmp_path))
        finally:
            host.sh("mv /usr/bin/not-sudo /usr/bin/sudo")
        assert "root is needed on gpu-1, and it has no sudo" in said

    def test_a_sudo_that_insists_on_a_terminal(self, host: Machine, tmp_path: Path) -> None:
        allow(host, "joe ALL=(ALL) NOPASSWD: ALL", "requiretty")
        said = refusal(run(host, tmp_path))
        assert "sudo on gpu-1 insists on a terminal" in said and "requiretty" in said


class TestSecrecy:
    def test_the_password_is_seen_nowhere(self, host: Machine, tmp_path: Path) -> None:
        allow(host, "joe ALL=(ALL) ALL", "timestamp_timeout=0")
        secret = "Zx9-unmistakable"
        host.sh(f"chpasswd <<'E'\njoe:{secret}\nE")
        step = Act(
            "step", exists(f"{ROOM}/made"), f"echo at it; sleep 2; : >{ROOM}/made", sudo=True
        )
        result = Result()
        thread = threading.Thread(
            target=lambda: result.events.extend(run(host, tmp_path, secret, [step]).events)
        )
        thread.start()
        seen = 0
        while thread.is_alive():
            found, looked = processes_with(secret)
            assert found == []
            seen += looked
            time.sleep(0.05)
        assert seen > 100
        assert result.outcomes == {step.id: "changed"}, result.text
        assert secret not in result.text
        everywhere = "/etc /home /root /run /srv /tmp /var /dev/shm"
        assert host.sh(f"grep -rlF -e {secret} {everywhere} 2>/dev/null || :") == ""
        for path in tmp_path.rglob("*"):
            assert path.is_dir() or secret not in path.read_text()

    def test_it_is_asked_once_a_run_however_many_hosts(self, tmp_path: Path) -> None:
        asked: list[int] = []

        def ask() -> str:
            asked.append(1)
            time.sleep(0.1)
            return "x"

        password = SudoPassword(ask)
        threads = [threading.Thread(target=password.assignment) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert asked == [1]
        assert "x" not in repr(password).replace("xx", "")

    def test_a_password_with_a_line_break_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="line break"):
            SudoPassword("a\nb").assignment()


def processes_with(secret: str) -> tuple[list[str], int]:
    """Processes anywhere on this machine whose arguments or environment hold a text."""
    found, looked = [], 0
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            looked += 1
            with suppress(OSError):
                if secret.encode() in (process / name).read_bytes():
                    found.append(f"{process / name}")
    return found, looked


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_an_interrupt_ends_a_step_that_runs_as_root(host: Machine, tmp_path: Path) -> None:
    allow(host, "joe ALL=(ALL) ALL")
    title = "sleep 54321"
    step = Act("step", exists(f"{ROOM}/made"), f"{title}; : >{quote(f'{ROOM}/made')}", sudo=True)
    target = host.target("gpu-1", "joe")
    opened = target.open_shell
    channels = []

    def opening() -> object:
        channels.append(opened())
        return channels[-1]

    target.open_shell = opening  # type: ignore[method-assign,assignment]
    thread = threading.Thread(
        target=lambda: run(host, tmp_path, PASSWORD, [step], target=target), daemon=True
    )
    thread.start()
    until(lambda: host.sh(f"pgrep -xf '{title}' || :"))
    channels[0].interrupt()
    thread.join(10)
    until(lambda: not host.sh(f"pgrep -xf '{title}' || :"))
    until(lambda: not host.sh("pgrep -u joe -f 'exec /bin/s[h]' || :"))
    assert host.sh(f"ls {ROOM}") == ""
