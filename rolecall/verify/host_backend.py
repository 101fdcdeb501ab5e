"""Testinfra on a host, through the shell that roles are converged with.

So a check reaches a host exactly as a deploy does: this machine or SSH, with the inventory's
account, host keys and jump hosts, and root as role resources get it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult

from rolecall.errors import RolecallError
from rolecall.loop.answers import parts
from rolecall.loop.converge import probe
from rolecall.loop.plan import Step, mask
from rolecall.loop.scripts import Dialect
from rolecall.resource import Change, Resource, Skip, diff
from rolecall.session import Session
from rolecall.shell import encode, quote

#: In front of a command that root runs; no command holds it, since no text can have a NUL.
_AS_ROOT = "root\0"


class HostBackend(BaseBackend):
    """Commands run in the one shell of a session, each in a process of its own."""

    NAME = "rolecall"

    def __init__(self, session: Session, dialect: Dialect) -> None:
        """``dialect`` says how the session becomes root: it has been opened with it."""
        super().__init__(session.target.name)
        self._session = session
        self._dialect = dialect

    def get_sudo_command(self, command: str, sudo_user: str | None) -> str:
        """The command, marked: the session itself becomes root.

        Raises:
            RolecallError: another account than root is wanted.
        """
        if sudo_user not in (None, "root"):
            raise RolecallError(
                f"a check on {self.hostname} asks for the account {sudo_user}",
                "Rolecall becomes only root: host.sudo()",
            )
        return _AS_ROOT + command

    def run(self, command: str, *args: str, **_: Any) -> CommandResult:
        """Run a shell command; ``%s`` in it stand for the quoted ``args``.

        Raises:
            SudoError: root is asked for, and the host refuses it.
            UnreachableError: the shell has ended.
        """
        text = self.get_command(command, *args)
        command = text.replace(_AS_ROOT, "")
        script = _script(command)
        if command != text:
            privilege = self._dialect.privilege
            body = privilege.wrap(script, (), self._dialect.variables)
            script = f"{privilege.gate(True)}\n{body}"
        output, errors, status = "", "", ""
        for part in parts(self._session.exchange(script, "check")):
            if part.frame.kind == "output":
                output = "\n".join(part.lines).removesuffix("x")
            elif part.frame.kind == "errors":
                errors, _newline, status = part.text.rpartition("\n")
        return self.result(int(status or 255), encode(command), output, errors)

    def differences(self, wanted: Iterable[Resource | Skip]) -> dict[str, tuple[Change, ...]]:
        """What a deploy would change, by id: the probes of the deploy, compared as it does."""
        resources = [one for one in wanted if isinstance(one, Resource)]
        steps = [Step(number, "", resource) for number, resource in enumerate(resources)]
        answers = probe(self._session, steps, self._dialect)
        changes: dict[str, tuple[Change, ...]] = {}
        for step in steps:
            if differs := diff(step.resource.desired(), answers[step.number]):
                changes[step.resource.id] = mask(differs) if step.resource.secret else differs
        return changes

    def get_encoding(self) -> str:
        """What hosts print is taken for UTF-8; the usual way to ask would run Python there."""
        return "utf-8"


def _script(command: str) -> str:
    """Shell text that runs a command and tells its output, its errors and its exit status.

    A letter follows the output, so that line ends at its end are not lost; the status follows
    the errors.
    """
    return (
        "rc_frame output\n"
        "{ rc_e=$( {\n"
        f"/bin/sh -c {quote(command)} </dev/null 3>&-; printf '\\n%s' $? >&2\n"
        "} 2>&1 >&3 ); } 3>&1\n"
        "printf x\n"
        "rc_frame errors\n"
        'printf "%s\\n" "$rc_e"'
    )
