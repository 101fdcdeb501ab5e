"""``unlock``: end the hold of another run on a host."""

from __future__ import annotations

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.errors import RolecallError
from rolecall.lock import locked_error
from rolecall.loop.answers import parts

# The lock of a run that still lives is only taken away by ending that run's shell.
_UNLOCK = r"""
rc_held=$(readlink -- "$rc_home/lock") || { rc_frame free; return 0; }
rc_holder=${rc_held%% *}
if ! rc_alive "$rc_holder"; then
  rm -f -- "$rc_home/lock"
  rc_frame stale
elif [ "$rc_force" = yes ]; then
  rc_pid=${rc_holder#*:}
  rc_pid=${rc_pid%%:*}
  kill -s TERM -- "-$rc_pid" 2>/dev/null || kill -s TERM "$rc_pid"
  sleep 1
  [ "$(readlink -- "$rc_home/lock")" != "$rc_held" ] || rm -f -- "$rc_home/lock"
  rc_frame ended
else
  rc_frame held
fi
printf '%s\n' "$rc_held"
"""


def unlock(project: Project, flags: Flags, *, force: bool) -> None:
    """Remove a dead run's lock; with ``force``, end the run that holds it.

    Raises:
        RolecallError: a living run holds the lock and ``force`` was not given.
    """
    for session, opened in project.look(flags, what=lambda _: []):
        script = f"rc_force={'yes' if force else 'no'}\n{_UNLOCK}"
        said = {part.frame.kind: part.text for part in parts(session.exchange(script))}
        name = opened.host.name
        if "held" in said:
            error = locked_error(name, said["held"])
            raise RolecallError(error.message, "./inv unlock --force ends that run")
        what = {"free": "no lock", "stale": "a dead run's lock: removed", "ended": "run ended"}
        print(f"{name}: {next(text for kind, text in what.items() if kind in said)}")
