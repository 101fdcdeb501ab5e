"""``unlock``: end the hold of another run on a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.errors import RolecallError
from rolecall.lock import locked_error
from rolecall.loop.answers import parts
from rolecall.session import Session

if TYPE_CHECKING:
    from rolecall.shell_run import Opened

# The lock of a run that still lives is only taken away by ending that run's shell.
_UNLOCK = r"""
rc_held=$(readlink -- "$rc_home/lock") || { rc_frame free; return 0; }
rc_holder=${rc_held%% *}
if ! rc_holds "$rc_held"; then
  rm -f -- "$rc_home/lock"
  rc_frame stale
elif [ "$rc_force" = yes ] && rc_alive "$rc_holder"; then
  rc_pid=${rc_holder#*:}
  rc_pid=${rc_pid%%:*}
  kill -s TERM -- "-$rc_pid" 2>/dev/null || kill -s TERM "$rc_pid"
  # A lock that is taken off a shell which still works would let two runs change the host.
  rc_tries=0
  while rc_alive "$rc_holder" && [ "$rc_tries" -lt 10 ]; do
    rc_tries=$((rc_tries + 1))
    sleep 1
  done
  if rc_alive "$rc_holder"; then
    rc_frame held
  else
    [ "$(readlink -- "$rc_home/lock")" != "$rc_held" ] || rm -f -- "$rc_home/lock"
    rc_frame ended
  fi
else
  rc_frame held
fi
printf '%s\n' "$rc_held"
"""


#: What became of a lock, by the frame that the host answers with.
_SAID = {
    "free": "no lock",
    "stale": "a dead run's lock: removed",
    "ended": "the run that held the lock: ended",
}


def unlock(project: Project, flags: Flags, *, force: bool) -> bool:
    """Remove dead runs' locks; with ``force``, end the runs that hold them.

    Returns:
        Whether no host is locked any more; of the others, the user has been told.

    Raises:
        RolecallError: there is one host, and it could not be asked.
    """
    from rolecall.output.errors import present

    def question(session: Session, _: Opened) -> dict[str, str]:
        script = f"rc_force={'yes' if force else 'no'}\n{_UNLOCK}"
        return {part.frame.kind: part.text for part in parts(session.exchange(script))}

    answers, errors = project.ask(flags, question)
    for name, said in answers.items():
        if "held" in said:
            end = project.command(flags, "unlock", "--force", hosts=name)
            errors[name] = RolecallError(
                locked_error(name, said["held"]).message, f"{end} ends that run"
            )
        else:
            print(f"{name}: {next(text for kind, text in _SAID.items() if kind in said)}")
    for error in errors.values():
        present(error)
    return not errors
