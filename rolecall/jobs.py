"""Detached jobs: long work on a host that outlives the connection, and is never done twice."""

from __future__ import annotations

from collections.abc import Mapping

from rolecall.loop.scripts import IDENTITY
from rolecall.shell import emit, encode, quote


def detached(job: str, script: str, secrets: Mapping[str, str] | None = None) -> str:
    """Shell text for an apply that runs ``script`` as the detached job ``job``.

    The name has to derive from the content, so that a second run attaches to the running job
    rather than starting another. ``script`` runs under ``set -e`` in ``/`` with no input; its
    output is followed live, ``::progress`` lines included. The apply ends with its status.

    ``secrets``, by name, are no part of the job's text: each lies in a file of the host's user
    alone, ``$rc_job_dir/secrets/NAME``, which goes when the job ends.
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
rc_end=$?
cd -- "$rc_job_dir" || exit
rm -rf -- secrets
printf '%s\\n' "$rc_end" 1<>exit.new && mv -f -- exit.new exit
"""
    run = f"rc_job {quote(job)} {quote(text)}"
    if not secrets:
        return run
    files = "\n".join(
        f'{emit(encode(value))} >"$rc_secrets"/{quote(name)}' for name, value in secrets.items()
    )
    return "\n".join(
        [
            f"rc_secrets=$rc_home/jobs/{quote(job)}/secrets",
            f'(umask 077\nmkdir -p -- "$rc_secrets"\n{files})',
            f"rc_end=0\n{run} || rc_end=$?",
            f'rm -rf -- "$rc_home"/jobs/{quote(job)}/secrets',
            '[ "$rc_end" = 0 ] || exit "$rc_end"',
        ]
    )
