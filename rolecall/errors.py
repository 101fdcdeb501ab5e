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
