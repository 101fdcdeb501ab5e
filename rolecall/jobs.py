"""Detached jobs: long work on a host that outlives the connection, and is never done twice."""

from __future__ import annotations

from rolecall.loop.scripts import IDENTITY
from rolecall.shell import quote


def detached(job: str, script: str) -> str:
    """Shell text for an apply that runs ``script`` as the detached job ``job``.

    The name has to derive from the content, so that a second run attaches to the running job
    rather than starting another. ``script`` runs under ``set -e`` in ``/`` with no input; its
    output is followed live, ``::progress`` lines included. The apply ends with its status.
    """
    text = f"""{IDENTITY}
rc_job_dir=$1
rc_identity $$ >"$1/identity.$$" || exit
ln -- "$1/identity.$$" "$1/identity" 2>/dev/null ||
  {{ [ ! -e "$1/identity" ] && mv -f -- "$1/identity.$$" "$1/identity"; }} || rc_job_dir=
rm -f -- "$1/identity.$$"
[ -n "$rc_job_dir" ] || exit 0
exec >>"$1/log" 2>&1
cd /
(
set -e
{script}
)
printf '%s\\n' "$?" >"$rc_job_dir/exit.new" && mv -f -- "$rc_job_dir/exit.new" "$rc_job_dir/exit"
"""
    return f"rc_job {quote(job)} {quote(text)}"
