"""Errors a user is meant to read: what was wrong, where, and what to do next."""

from __future__ import annotations


class RolecallError(Exception):
    """Something went wrong that the user can act on.

    ``message`` says what was wrong and where; ``hint`` says what to do next. The command line
    prints both without a traceback and exits with ``exit_code``.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(RolecallError):
    """The command line, the inventory or a setting is wrong; no host was touched."""

    exit_code = 2


class UnreachableError(RolecallError):
    """A target could not be reached, or its shell ended in the middle of an exchange."""


class LockedError(RolecallError):
    """Another run holds the host's lock."""


def place(error: BaseException) -> str:
    """Where ``error`` came from as ``FILE:LINE``, in code that is neither Rolecall's nor a library.

    That is a role, a task or a resource of the project; empty where none took part.
    """
    import os
    import sysconfig
    import traceback

    ours = os.path.dirname(os.path.abspath(__file__))
    libraries = (sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    others = ("<", *(f"{folder}{os.sep}" for folder in (ours, *libraries)))
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(others):
            return f"{frame.filename}:{frame.lineno}"
    return ""


def unforeseen(error: BaseException) -> str:
    """An exception that nobody foresaw, in one line."""
    where = place(error)
    text = f"unexpected {type(error).__name__}: {error}"
    return f"{text}, at {where}" if where else text
