"""This machine as a target."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rolecall.errors import RolecallError, UnreachableError

#: Seconds that a step is given to end by itself after an interrupt.
GRACE = 5.0

#: Seconds between two looks at whether the shell has ended.
_LOOK = 0.1


class LocalChannel:
    """A shell in a session of its own, so that Ctrl-C reaches the controller alone."""

    def __init__(self, shell: str) -> None:
        try:
            self._process = subprocess.Popen(
                [shell],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            raise UnreachableError(
                f"cannot start {shell!r} on this machine: {error.strerror}"
            ) from error

    @property
    def pid(self) -> int:
        """The shell's process, and the group of all that it runs."""
        return self._process.pid

    def write(self, data: bytes) -> None:
        """Send all of ``data``."""
        assert self._process.stdin is not None
        view = memoryview(data)
        try:
            while view:
                view = view[self._process.stdin.write(view) :]
        except BrokenPipeError as error:
            raise UnreachableError("the local shell ended unexpectedly") from error

    def read(self) -> bytes:
        """Whatever the shell has printed, waiting for at least one byte."""
        assert self._process.stdout is not None
        return os.read(self._process.stdout.fileno(), 1 << 16)

    def close(self) -> None:
        """End the input and wait: a step in progress is finished, not cut.

        What it still prints is read, for it waits until it is: after Ctrl-C nobody else does.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        with selectors.DefaultSelector() as ready:
            ready.register(self._process.stdout, selectors.EVENT_READ)
            while self._process.poll() is None:  # a detached job may hold its output open
                if ready.select(_LOOK) and not self.read():
                    break
        self._process.wait()
        self._process.stdout.close()

    def interrupt(self) -> None:
        """Ask the shell and its step to end; insist after a grace period."""
        with suppress(ProcessLookupError, PermissionError):  # root's steps watch for themselves
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


class LocalTarget:
    """Converges the machine Rolecall runs on, as the current user."""

    #: The end of the controller closes the pipes to its shell.
    pulse = None

    def __init__(self, name: str = "localhost", shell: str = "/bin/sh") -> None:
        self.name = name
        self._shell = shell

    def open_shell(self) -> LocalChannel:
        """Start the shell."""
        return LocalChannel(self._shell)

    def upload(self, source: Path, destination: str, mode: str) -> None:
        """Copy beside the destination, flush to disk, rename."""
        folder = os.path.dirname(destination)
        try:
            handle, temporary = tempfile.mkstemp(dir=folder, prefix=".rolecall-")
        except OSError as error:
            raise RolecallError(f"cannot write in {folder}: {error.strerror}") from error
        try:
            with open(handle, "wb") as out, open(source, "rb") as data:
                shutil.copyfileobj(data, out)
                out.flush()
                os.fsync(out.fileno())
            os.chmod(temporary, int(mode, 8))
            os.replace(temporary, destination)
        except OSError as error:
            os.unlink(temporary)
            raise RolecallError(f"cannot write {destination}: {error.strerror}") from error

    @contextmanager
    def forward(self, port: int) -> Iterator[tuple[str, int]]:
        """Loopback is loopback here."""
        yield "127.0.0.1", port
