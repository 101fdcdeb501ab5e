"""Sudo, seen from the controller: the password, asked once, and what a refusal means."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from rolecall.errors import ConfigError, RolecallError
from rolecall.shell import quote


class SudoPassword:
    """A password, or a question that is asked when it is first needed and once a run.

    One object may serve many hosts: the first that needs it asks, the others wait for the
    answer. It appears in no ``repr``, and is sent to a host over the session's input alone.

    Attributes:
        only_if_asked: a host is told only once its sudo has asked for a password, so that nobody
            is troubled for the sake of hosts where sudo needs none.
        withdraw: ends the wait for an answer that nobody needs any more.
    """

    def __init__(
        self,
        source: str | Callable[[], str],
        *,
        only_if_asked: bool = False,
        withdraw: Callable[[], None] = lambda: None,
    ) -> None:
        self.only_if_asked = only_if_asked
        self.withdraw = withdraw
        self._source = source
        self._lock = threading.Lock()
        self._value: str | None = source if isinstance(source, str) else None
        self._trouble: RolecallError | None = None

    def assignment(self, around: Callable[[], AbstractContextManager[object]] = nullcontext) -> str:
        """The shell text that tells a session's shell the password.

        Where it has to be asked for first, that is done inside ``around()``, and once.

        Raises:
            RolecallError: it cannot be had.
            ConfigError: it holds what no password of sudo can: a newline or a NUL.
        """
        with self._lock:
            if self._value is None:
                assert callable(self._source)
                if self._trouble:
                    raise self._trouble
                try:
                    with around():
                        self._value = self._source()
                except RolecallError as error:
                    self._trouble = error
                    raise
        if any(char in self._value for char in "\n\r\0"):
            raise ConfigError("the password for sudo holds a line break or a NUL byte")
        return f"rc_password={quote(self._value)}"

    def __repr__(self) -> str:
        """Without the password."""
        return "SudoPassword(********)"


class SudoError(RolecallError):
    """Root is needed on a host, and sudo does not give it.

    ``needs_password`` is set where it would, given one.
    """

    needs_password = False


_GIVE = (
    "set ansible_become_password: !env NAME in the inventory, or run ./fab with "
    "--prompt-for-sudo-password"
)

# What sudo and sudo-rs say in the C locale, in the order of their weight: message, hint.
_REFUSALS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("is not installed",),
        "root is needed on {host}, and it has no sudo",
        "log in as root, or install sudo there",
    ),
    (
        ("not in the sudoers file", "not allowed to", "may not run sudo", "I'm afraid I can't"),
        "root is needed on {host}, and sudo does not let this user become root",
        "let the user run /bin/sh as root (sudoers), or log in as another user",
    ),
    (
        ("must have a tty",),
        "sudo on {host} insists on a terminal",
        "remove requiretty from sudoers for this user: Defaults:USER !requiretty",
    ),
    (
        ("incorrect password", "incorrect authentication", "Authentication failed", "try again"),
        "sudo on {host} does not accept the password",
        "check the password, and run the same command again",
    ),
    (
        ("password is required", "authentication is required", "terminal is required"),
        "sudo on {host} needs a password",
        _GIVE,
    ),
)


def sudo_error(host: str, said: Sequence[str]) -> SudoError:
    """What a refusal means, given the lines that sudo printed."""
    text = "\n".join(said)
    for signs, message, hint in _REFUSALS:
        if any(sign in text for sign in signs):
            error = SudoError(message.format(host=host), hint)
            error.needs_password = hint is _GIVE
            return error
    reason = "; ".join(line for line in said if line.strip()) or "it gave no reason"
    return SudoError(f"sudo on {host} failed: {reason}", f"try there: sudo -v; {_GIVE}")
