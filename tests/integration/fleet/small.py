"""A project of a test's own on many hosts, and ``./inv`` in it, on a pipe or on a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.deployed import ROOT, Completed, run_inv
from tests.rig.sshd import USER, Sshd
from tests.unit.output.support import shown_on_screen

APP = Path(__file__).parent / "app"


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@dataclass
class Small:
    """The project in ``folder``; each host has a home of its own below ``homes``.

    Attributes:
        sshd: the hosts are this server under other names; None: they are this machine.
        variables: of each host, besides those with which it is reached.
    """

    folder: Path
    hosts: Sequence[str]
    sshd: Sshd | None = None
    variables: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shutil.copytree(APP, self.folder, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("inv", "fab", "fabfile.py"):
            shutil.copy2(ROOT / name, self.folder / name)
        # The lock is a link as well: ./inv never finds the environment, which is shared, outdated.
        for name in ("rolecall", "tools", "requirements.lock", ".venv"):
            (self.folder / name).symlink_to(ROOT / name)
        self.save()

    def save(self) -> None:
        """Write the inventory."""
        everybody = {name: self._host(name) for name in self.hosts}
        even = {name: {} for number, name in enumerate(self.hosts) if number % 2}
        inventory = {"all": {"hosts": everybody, "children": {"even": {"hosts": even}}}}
        (self.folder / "inventory").mkdir(exist_ok=True)
        (self.folder / "inventory" / "hosts.yaml").write_text(json.dumps(inventory))

    def _host(self, name: str) -> dict[str, Any]:
        settings: dict[str, Any] = {"rolecall": {"home": str(self.home(name))}}
        if self.sshd is None:
            settings["ansible_connection"] = "local"
        else:
            known = f"-o UserKnownHostsFile={self.sshd.known_hosts}"
            settings |= {
                "ansible_host": "127.0.0.1",
                "ansible_port": self.sshd.port,
                "ansible_user": USER,
                "ansible_ssh_private_key_file": str(self.sshd.key),
                "ansible_ssh_common_args": known,
            }
        return settings | self.variables.get(name, {})

    def set(self, host: str, **settings: Any) -> None:
        """Give a host settings of role ``mark``; those of before are gone."""
        self.variables[host] = {"mark": settings}
        self.save()

    def unreachable(self, host: str) -> None:
        """Nobody listens at the host's port."""
        self.variables[host] = {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": 1,
        }
        self.save()

    def home(self, host: str) -> Path:
        """Rolecall's own directory there."""
        return self.folder / "homes" / host

    def marks(self, host: str) -> Path:
        """What the role makes there."""
        return self.home(host) / "marks"

    def locked(self, host: str) -> bool:
        """Whether a shell that lives holds the host's lock; one that was killed leaves a link."""
        try:
            holder = os.readlink(self.home(host) / "lock").split(":")[1]  # noqa: PTH115 - not a path
        except (OSError, IndexError):
            return False
        return Path(f"/proc/{holder}").exists()

    def starts(self, host: str) -> int:
        """How often the host's job was started."""
        path = self.marks(host) / "starts"
        return path.read_text().count("start\n") if path.exists() else 0

    @property
    def failed(self) -> list[str]:
        """The hosts that the last run left to be done."""
        path = self.folder / ".rolecall" / "failed"
        return path.read_text().splitlines() if path.exists() else []

    def inv(self, *args: str, env: Mapping[str, str] | None = None) -> Completed:
        """Run a task on a pipe."""
        return run_inv(*args, env=env, cwd=self.folder, inv=self.folder / "inv", timeout=120)

    def fab(self, *args: str) -> Completed:
        """The same with fabric's command line."""
        return run_inv(*args, cwd=self.folder, inv=self.folder / "fab", timeout=120)

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Start a task on a pipe, in a process group of its own."""
        return subprocess.Popen(
            [str(self.folder / "inv"), *args],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def terminal(self, *args: str, width: int = 100, height: int = 40, **env: str) -> Terminal:
        """Start a task on a terminal of its own."""
        return Terminal([str(self.folder / "inv"), *args], self.folder, width, height, env)


def end_jobs(project: Small) -> None:
    """End whatever job a host of the project still runs."""
    for identity in project.folder.glob("homes/*/jobs/*/identity"):
        with suppress(ProcessLookupError, IndexError, ValueError):
            os.killpg(int(identity.read_text().split(":")[1]), signal.SIGKILL)


class Terminal:
    """A command on a pseudo terminal, which is also its controlling terminal."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        width: int,
        height: int,
        env: Mapping[str, str],
    ) -> None:
        environment = {**os.environ, "TERM": "xterm-256color", "PYTHONUTF8": "1", **env}
        for name in ("COLUMNS", "LINES", *(() if "NO_COLOR" in env else ("NO_COLOR",))):
            environment.pop(name, None)
        self.pid, self._ours = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve(command[0], list(command), environment)
        self.resize(width, height)
        self._data = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def resize(self, width: int, height: int) -> None:
        """Give the window another size; its programs are told, as by a terminal emulator."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def _read(self) -> None:
        while True:
            try:
                more = os.read(self._ours, 65536)
            except OSError:  # how Linux says that the other side is closed
                return
            if not more:
                return
            self._data += more

    @property
    def raw(self) -> str:
        """All that was written so far."""
        return self._data.decode(errors="replace").replace("\r\n", "\n")

    @property
    def text(self) -> str:
        """The same without colours and cursor movements; redrawn lines stand there each time."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw)

    @property
    def lines(self) -> list[str]:
        """What a terminal of endless height shows."""
        return shown_on_screen(self.raw)

    def press(self, key: bytes = b"\x03") -> None:
        """Press a key, Ctrl-C without one: the terminal makes a signal of it."""
        os.write(self._ours, key)

    def wait(self, seconds: float = 60.0) -> int:
        """The exit status, once it has ended; killed after ``seconds``."""
        deadline = time.monotonic() + seconds
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise AssertionError(f"still running:\n{self.raw[-3000:]}")
            time.sleep(0.01)
        self._reader.join(5)
        os.close(self._ours)
        return os.waitstatus_to_exitcode(status)
