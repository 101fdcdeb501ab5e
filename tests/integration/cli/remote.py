"""A small project of a test's own, with hosts over SSH, and what a user types into it."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.integration.deployed import ROOT

_TASKS = '''
from pathlib import Path

from invoke import Collection, task

from rolecall.cli import fleet, tasks
from rolecall.cli.project import Project

project = Project(Path(__file__).parent, ("note",))


@task
def uptime(c):
    """A task that knows nothing of Rolecall."""
    c.run("echo up as $(id -un)")


ns = Collection(uptime)
for made in (
    tasks.converge_task(project, "deploy", "Converge."),
    tasks.plan_task(project),
    tasks.drift_task(project),
    tasks.destroy_task(project),
    tasks.why_task(project),
    tasks.inventory_task(project),
    *fleet.fleet_tasks(project),
):
    ns.add_task(made)
'''

_ROLE = '''
from collections.abc import Iterator

from rolecall.api import File, Host, Resource, Settings, role


class Note(Settings):
    """Notes on a host."""

    folder: str
    """Where they are written."""

    text: str = "from the default"
    """What the user's says."""

    secret: str = ""
    """What root's says; empty: there is none."""


@role(Note)
def note(host: Host, settings: Note) -> Iterator[Resource]:
    """A note of the user and, where wanted, one of root."""
    yield File(f"{settings.folder}/{host.name}", settings.text)
    if settings.secret:
        yield File(f"/srv/{host.name}", settings.secret, mode="600", sudo=True)
'''


@dataclass(frozen=True)
class Site:
    """The project, and a user whose home directory has nothing in it but what a test puts there.

    Attributes:
        root: the project.
        home: the user's home directory.
        notes: where the hosts write.
    """

    root: Path
    home: Path
    notes: Path

    @classmethod
    def make(cls, folder: Path) -> Site:
        """Write the project; its runner and its environment are this project's own."""
        site = cls(folder / "site", folder / "user", folder / "notes")
        for path in (site.root / "roles" / "note", site.home, site.notes):
            path.mkdir(parents=True)
        for name in ("inv", "fab", "fabfile.py", "requirements.lock"):
            shutil.copy2(ROOT / name, site.root / name)
        for name in ("rolecall", "tools", ".venv"):
            (site.root / name).symlink_to(ROOT / name)
        (site.root / "tasks.py").write_text(_TASKS)
        (site.root / "roles" / "__init__.py").touch()
        (site.root / "roles" / "note" / "__init__.py").touch()
        (site.root / "roles" / "note" / "role.py").write_text(_ROLE)
        return site

    def inventory(self, text: str) -> None:
        """Write ``inventory/hosts.yaml``; all hosts write to :attr:`notes`."""
        folder = self.root / "inventory" / "group_vars"
        folder.mkdir(parents=True, exist_ok=True)
        (folder.parent / "hosts.yaml").write_text(text)
        home = self.notes.parent / "rolecall"
        (folder / "all.yaml").write_text(
            f"note: {{folder: {self.notes}}}\nrolecall: {{home: {home}}}\n"
        )

    @property
    def known_hosts(self) -> Path:
        """The inventory's own file."""
        return self.root / "inventory" / "known_hosts"

    @property
    def own_known_hosts(self) -> Path:
        """The user's file."""
        return self.home / ".ssh" / "known_hosts"

    def written(self) -> dict[str, str]:
        """What the hosts have written, by name."""
        return {path.name: path.read_text() for path in sorted(self.notes.iterdir())}

    def environment(self) -> dict[str, str]:
        """The user's environment, without an agent that has keys of somebody else."""
        kept = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
        return {**kept, "HOME": str(self.home), "TERM": "dumb"}

    def type(
        self, *command: str, timeout: float = 60, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run ``./inv …`` or ``./fab …`` without a terminal."""
        return subprocess.run(
            command,
            cwd=self.root,
            env={**self.environment(), **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def converse(
        self, command: Sequence[str], answers: Sequence[tuple[str, str]], timeout: float = 60
    ) -> tuple[int, str]:
        """Run a command on a terminal of its own; each answer is typed once its question shows.

        Returns:
            The exit status, and all that the terminal showed.
        """
        pid, terminal = pty.fork()
        if pid == 0:
            try:
                os.chdir(self.root)
                os.execve(command[0], list(command), self.environment())
            except BaseException as error:
                print(error, file=sys.stderr)
            os._exit(127)
        shown, left = "", list(answers)
        seen = 0
        deadline = time.monotonic() + timeout
        try:
            while time.monotonic() < deadline:
                if not select.select([terminal], [], [], 0.5)[0]:
                    continue
                data = b""
                with suppress(OSError):  # the other side is closed: Linux says EIO
                    data = os.read(terminal, 65536)
                if not data:
                    _, status = os.waitpid(pid, 0)
                    return os.waitstatus_to_exitcode(status), shown.replace("\r\n", "\n")
                shown += data.decode(errors="replace")
                if left and left[0][0] in shown[seen:]:
                    seen = len(shown)
                    os.write(terminal, left.pop(0)[1].encode())
            raise AssertionError(f"{' '.join(command)} did not end: {shown}")
        finally:
            os.close(terminal)
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
