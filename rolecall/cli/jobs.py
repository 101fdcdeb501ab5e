"""``jobs``: the detached jobs of the chosen hosts, listed, followed or stopped."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.errors import ConfigError, RolecallError
from rolecall.loop.answers import parts
from rolecall.output.text import duration
from rolecall.progress import parse_progress
from rolecall.resource import Observed
from rolecall.session import Line, Session
from rolecall.settings import nearest
from rolecall.shell import quote

#: Lines of a job's log that --follow begins with.
TAIL = 10

# run is written when a job starts, exit when it ends; a job that was killed has no exit.
_LIST = r"""
rc_live=" $(rc_live_jobs | tr '\n' ' ')"
for rc_dir in "$rc_home"/jobs/*/; do
  [ -d "$rc_dir" ] || continue
  rc_dir=${rc_dir%/}
  rc_frame job
  rc_field name "${rc_dir##*/}"
  rc_field started "$(stat -c %Y -- "$rc_dir/run" 2>/dev/null)"
  rc_ended=$rc_dir/log
  case $rc_live in
  *" ${rc_dir##*/} "*) rc_field state running ;;
  *)
    if [ -f "$rc_dir/exit" ]; then
      read -r rc_status <"$rc_dir/exit"
      rc_field exit "$rc_status"
      rc_ended=$rc_dir/exit
    fi
    ;;
  esac
  rc_field ended "$(stat -c %Y -- "$rc_ended" 2>/dev/null)"
  rc_field now "$(date +%s)"
  rc_field last "$(tail -n 1 -- "$rc_dir/log" 2>/dev/null)"
done
"""


def show_jobs(project: Project, flags: Flags, name: str, *, follow: bool, cancel: bool) -> None:
    """List all jobs, or print one's log; ``follow`` goes on until it ends, ``cancel`` stops it.

    Raises:
        ConfigError: no job was named, no host has it, or several have it and one is to be
            followed.
        RolecallError: a host could not be asked, or a job that was followed has failed.
    """
    if (follow or cancel) and not name:
        raise ConfigError("which job?", "./inv jobs lists them")
    found, silent = project.ask(flags, lambda session, _: _jobs(session))
    if not name:
        _print_list(found, silent)
    else:
        hosts = [host for host, jobs in found.items() if any(_is(job, name) for job in jobs)]
        if not hosts and not silent:
            known = [str(job.get("name")) for jobs in found.values() for job in jobs]
            where = f"on {', '.join(found)}" if len(found) < 4 else f"on any of {len(found)} hosts"
            hint = nearest(name, known) if known else "there are no jobs at all"
            raise ConfigError(f"there is no job {name} {where}", hint)
        if len(hosts) > 1 and not cancel:
            hint = project.command(flags, "jobs", name, hosts=hosts[0])
            raise ConfigError(f"{len(hosts)} hosts have a job {name}: {', '.join(hosts)}", hint)
        for host in hosts:
            _act(project, flags, host, name, follow=follow, cancel=cancel)
    if silent:
        names = ", ".join(silent)
        first = next(iter(silent.values()))
        raise RolecallError(f"not asked: {names}: {first.message}", first.hint)


def _is(job: Observed, name: str) -> bool:
    return job.get("name") == name


def _act(
    project: Project, flags: Flags, host: str, name: str, *, follow: bool, cancel: bool
) -> None:
    """Stop, follow or print the job on one host."""
    folder = f'"$rc_home"/jobs/{quote(name)}'
    if cancel:
        script = f"rc_stop_job {quote(name)}"
    elif follow:
        size = f"$(($(wc -c <{folder}/log) - $(tail -n {TAIL} {folder}/log | wc -c)))"
        script = f"rc_follow {folder} {size}"
    else:
        script = f"cat -- {folder}/log"
    for session, opened in project.look(flags, what=lambda _: [], only=host):
        before = next((job for job in _jobs(session) if _is(job, name)), Observed.parse(""))
        if cancel and before.get("state") != "running":
            print(f"{opened.host.name}: {name} does not run: {_state(before)}")
            return
        if not _print_answer(session, script):
            again = project.command(flags, "jobs", name, "--follow", hosts=host)
            print(f"left: the job goes on; {again}")
            return
        after = next((job for job in _jobs(session) if _is(job, name)), Observed.parse(""))
        if cancel:
            print(f"{opened.host.name}: {name} {_state(after)}")
        elif follow and after.get("exit") != "0":
            raise RolecallError(f"the job {name} on {host} {_state(after)}")
        elif follow:
            print(f"{opened.host.name}: {name} {_state(after)}")


def _jobs(session: Session) -> list[Observed]:
    answer = parts(session.exchange(_LIST))
    return [Observed.parse(part.text) for part in answer if part.frame.kind == "job"]


def _print_list(
    found: Mapping[str, Sequence[Observed]], silent: Mapping[str, RolecallError]
) -> None:
    idle = [host for host, jobs in found.items() if not jobs]
    for host, jobs in found.items():
        if jobs:
            print(host)
        for job in jobs:
            print(f"  {_readable(job.get('name') or ''):<44} {_state(job)}")
    if idle:
        from rolecall.output.hosts import fold

        print(f"{fold(idle)}: no jobs")


def _state(job: Observed) -> str:
    """Such as ``running for 3 min 05 s: weights: 3/9 layers`` or ``done in 12 s``."""
    started, ended, now = (
        int(job.get(field) or 0) if (job.get(field) or "").isdigit() else 0
        for field in ("started", "ended", "now")
    )
    if job.get("state") == "running":
        last = _readable(job.get("last") or "").strip()
        return f"running for {duration(max(0, now - started))}" + (f": {last}" if last else "")
    took = f"{duration(max(0, ended - started))}"
    ago = f"{duration(max(0, now - ended))} ago"
    status = job.get("exit")
    if not status:
        return f"was killed, {ago}"
    return f"done in {took}, {ago}" if status == "0" else f"failed ({status}) after {took}, {ago}"


def _print_answer(session: Session, script: str) -> bool:
    """Print lines as they come; Ctrl-C stops the printing, never the job, and gives False."""
    try:
        for item in session.exchange(script):
            if isinstance(item, Line):
                sys.stdout.write(f"{_readable(item.text)}\n")
                sys.stdout.flush()
    except KeyboardInterrupt:
        session.interrupt()
        return False
    return True


def _readable(line: str) -> str:
    progress = parse_progress(line)
    if progress is None:
        return re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "?", line)
    amount = f"{progress.done:g}" + (f"/{progress.total:g}" if progress.total else "")
    return f"{progress.label}: {amount} {progress.unit}".strip()
