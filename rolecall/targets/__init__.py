"""A target is the only way out of the controller: the local shell now, SSH and clusters later.

Everything above this package is host-agnostic: it sees a :class:`Target` and the byte streams
of one POSIX shell.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Pulse:
    """Signs of life of the controller, for a host that may lose it without being told.

    Attributes:
        every: seconds between two of them.
        patience: seconds without one after which a shell that holds the lock gives it up. The
            step that it runs and detached jobs go on.
    """

    every: float
    patience: int


class Channel(Protocol):
    """The standard streams of one shell on a target."""

    def write(self, data: bytes) -> None:
        """Send ``data`` to the shell. Raises ``UnreachableError`` when it is gone."""

    def read(self) -> bytes:
        """Some output, as soon as there is any; ``b""`` once the shell has ended."""

    def close(self) -> None:
        """Let the shell see the end of its input and wait for it to finish."""

    def interrupt(self) -> None:
        """End the shell and the step it is running, as Ctrl-C does; detached jobs go on."""


class Target(Protocol):
    """One place that Rolecall converges."""

    @property
    def name(self) -> str:
        """The host's name in the inventory."""

    @property
    def pulse(self) -> Pulse | None:
        """The signs of life to send; None where a shell always notices the controller's end."""

    def open_shell(self) -> Channel:
        """Start a POSIX shell. Raises ``UnreachableError``."""

    def upload(self, source: Path, destination: str, mode: str) -> None:
        """Put a file at ``destination`` atomically: temporary name, fsync, rename."""

    def forward(self, port: int) -> AbstractContextManager[tuple[str, int]]:
        """A local address that reaches TCP ``port`` on the target's loopback."""
