"""A question on the terminal, answered unseen, in whatever thread it comes up."""

from __future__ import annotations

import os
import select
import termios
import threading
from pathlib import Path

from rolecall.errors import RolecallError

#: Where the user sits, wherever standard input and output lead.
TERMINAL = Path("/dev/tty")

#: Seconds between two looks at whether the question still stands.
_LOOK = 0.2


class Question:
    """A question whose answer does not show, such as for a password.

    Python's ``getpass`` cannot be taken back: after Ctrl-C, which the main thread gets, a program
    whose question was asked in another thread would wait for Return.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._withdrawn = threading.Event()

    def withdraw(self) -> None:
        """End the wait for an answer, from another thread."""
        self._withdrawn.set()

    def ask(self) -> str:
        """The answer, without its newline.

        Raises:
            RolecallError: there is no terminal, no answer came (Ctrl-D), or the question was
                withdrawn.
        """
        try:
            terminal = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            raise RolecallError(f"there is no terminal to ask on: {error.strerror}") from error
        try:
            before = termios.tcgetattr(terminal)
            unseen = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
            try:
                # What was typed before the question is no answer to it.
                termios.tcsetattr(terminal, termios.TCSAFLUSH, unseen)
                os.write(terminal, self._text.encode())
                return self._line(terminal)
            finally:
                termios.tcsetattr(terminal, termios.TCSADRAIN, before)
                os.write(terminal, b"\n")
        finally:
            os.close(terminal)

    def _line(self, terminal: int) -> str:
        line = b""
        while not line.endswith(b"\n"):
            if self._withdrawn.is_set():
                raise RolecallError("no password was typed")
            if select.select([terminal], [], [], _LOOK)[0]:
                data = os.read(terminal, 4096)
                if not data:
                    raise RolecallError("no password was typed", "run the same command again")
                line += data
        return line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
