"""``jobs``: the detached jobs of the chosen hosts, listed, followed or stopped."""

from __future__ import annotations

import re
import sys

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.errors import ConfigError
from rolecall.loop.answers import parts
from rolecall.progress import parse_progress
from rolecall.resource import Observed
from rolecall.session import Line, Session
from rolecall.settings import nearest
from rolecall.shell import quote

_LIST = r"""
rc_live=" $(rc_live_jobs | tr '\n' ' ')"
for rc_dir in "$rc_home"/jobs/*/; do
  [ -d "$rc_dir" ] || continue
  rc_dir=${rc_dir%/}
  rc_frame job
  rc_field name "${rc_dir##*/}"
  case $rc_live in
  *" ${rc_dir##*/} "*) rc_field state running ;;
  *) if [ -f "$rc_dir/exit" ]; then rc_field exit "$(cat "$rc_dir/exit")"; fi ;;
  esac
  rc_field log "$(stat -c %Y -- "$rc_dir/log" 2>/dev/null)"
done
"""


def show_jobs(project: Project, flags: Flags, name: str, *, follow: bool, cancel: bool) -> None:
    """List all jobs, or print one's log; ``follow`` goes on until it ends, ``cancel`` stops it.

    Raises:
        ConfigError: there is no job of that name, or none was named.
    """
    if (follow or cancel) and not name:
        raise ConfigError("which job?", "./inv jobs lists them")
    for session, opened in project.look(flags, what=lambda _: []):
        jobs = _jobs(session)
        if not name:
            _print_list(opened.host.name, jobs)
            continue
        known = [job.get("name") for job in jobs]
        if name not in known:
            raise ConfigError(f"there is no job {name} on {opened.host.name}", nearest(name, known))
        if cancel:
            _print_answer(session, f"rc_stop_job {quote(name)}")
        elif follow:
            _print_answer(session, f'rc_follow "$rc_home"/jobs/{quote(name)} 0')
        else:
            _print_answer(session, f'cat -- "$rc_home"/jobs/{quote(name)}/log')


def _jobs(session: Session) -> list[Observed]:
    answer = parts(session.exchange(_LIST))
    return [Observed.parse(part.text) for part in answer if part.frame.kind == "job"]


def _print_list(host: str, jobs: list[Observed]) -> None:
    print(host if jobs else f"{host}: no jobs")
    for job in jobs:
        status = job.get("exit")
        ended = "was killed" if not status else "done" if status == "0" else f"failed ({status})"
        state = "running" if job.get("state") == "running" else ended
        print(f"  {job.get('name'):<44} {state}")


def _print_answer(session: Session, script: str) -> None:
    """Print lines as they come; Ctrl-C stops the printing, never the job."""
    try:
        for item in session.exchange(script):
            if isinstance(item, Line):
                sys.stdout.write(f"{_readable(item.text)}\n")
                sys.stdout.flush()
    except KeyboardInterrupt:
        session.interrupt()


def _readable(line: str) -> str:
    progress = parse_progress(line)
    if progress is None:
        return re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "?", line)
    amount = f"{progress.done:g}" + (f"/{progress.total:g}" if progress.total else "")
    return f"{progress.label}: {amount} {progress.unit}".strip()
