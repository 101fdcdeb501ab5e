"""A service of this machine under test: a small program, its surroundings, and what is left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rolecall.resources.service import Service, status_script

#: Says that it runs, then waits; "work" holds what it was started with.
PROGRAM = """
import os, pathlib, signal, sys, time
work = pathlib.Path(sys.argv[1])
with open(work / "starts", "a") as out:
    out.write(f"{os.getpid()}\\n")
print("hello from", os.getpid(), flush=True)
(work / "up").touch()
while True:
    time.sleep(60)
"""


def with_child(marker: Path, keywords: str = "") -> str:
    """The program, with a child that only a signal ends."""
    child = f"[sys.executable, '-c', 'import time; time.sleep(600)', {str(marker)!r}]"
    start = f"import subprocess; subprocess.Popen({child}{keywords})"
    return PROGRAM.replace("while True", f"{start}\nwhile True")


class Rig:
    """A service under test and its surroundings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.work = folder / "work"
        self.work.mkdir()
        self.directory = folder / "app"
        self.services: list[Service] = []

    def service(self, program: str = PROGRAM, **options: object) -> Service:
        script = self.work / "program.py"
        script.write_text(program)
        values: dict[str, object] = {
            "service": "app",
            "command": (sys.executable, "-u", str(script), str(self.work)),
            "directory": str(self.directory),
            "ready": f"test -e {self.work / 'up'}",
            "ready_timeout": 20,
            "stop_timeout": 5,
            **options,
        }
        service = Service(**values)  # type: ignore[arg-type]
        self.services.append(service)
        return service

    def status(self) -> dict[str, str]:
        done = subprocess.run(
            ["/bin/sh", "-c", status_script(str(self.directory))],
            capture_output=True,
            text=True,
            check=True,
        )
        return dict(line.split("=", 1) for line in done.stdout.splitlines())

    @property
    def pid(self) -> int:
        return int(self.status()["pid"])

    @property
    def supervisor(self) -> int:
        return int((self.directory / "supervisor").readlink().name.split(":")[1])

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def processes(self) -> list[int]:
        """Everything alive that has the test's own folder in its command line."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with suppress(OSError):
                    if str(self.folder).encode() in (entry / "cmdline").read_bytes():
                        found.append(int(entry.name))
        return found

    def programs(self) -> list[int]:
        """The processes of the program itself."""
        return [
            pid
            for pid in self.processes()
            if str(self.work / "program.py").encode()
            in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        ]

    def close(self) -> None:
        """End what is left; nothing may be."""
        supervise = self.directory / "supervise"
        if supervise.exists():
            command = ["sh", str(supervise), "stop", str(self.directory)]
            subprocess.run(command, capture_output=True, timeout=60)
        with suppress(AssertionError):
            eventually(lambda: not self.processes(), 3)
        left = self.processes()
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert left == []


def eventually(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] in "ZX"
    except OSError:
        return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
