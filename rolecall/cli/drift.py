"""``drift``: probe every resource again, and list what is not as it is declared."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rolecall.cli.flags import Flags, choose_roles
from rolecall.cli.project import Project
from rolecall.drift.cause import Cause, Setting, causes, changed_settings
from rolecall.drift.found import Field, Found, Moved
from rolecall.drift.record import Record, read_record
from rolecall.drift.told import Told, events, lines, nothing
from rolecall.masks import settings_of

if TYPE_CHECKING:
    from rolecall.run import HostPlan

#: Looks that stay on record; others than these are never removed by a look.
KEPT = 10

TASK = "drift"


def drift(project: Project, flags: Flags) -> int:
    """Look, and tell what was found; returns the exit status.

    Nothing is written on a host and no lock is taken. A look that finds something is kept on
    record like a run; one that finds nothing leaves no trace, so that looking every five minutes
    does not push the record of the deploys out.

    Raises:
        RolecallError: the inventory or a setting is wrong.
    """
    from rolecall.cluster.target import ClusterTarget

    plans = project.host_plans(flags)
    clusters = {plan.target.name for plan in plans if isinstance(plan.target, ClusterTarget)}
    found = Found(clusters)
    with _at_work(found, [plan.target.name for plan in plans], quiet=flags.json):
        _look(project, flags, plans, found)
    _tell(project, flags, found, plans)
    return found.status


def _look(project: Project, flags: Flags, plans: Sequence[HostPlan], found: Found) -> None:
    """Predict on every host, into ``found`` and the run's log."""
    from rolecall.events import Stream
    from rolecall.output.runlog import RunLog
    from rolecall.rollout import Rollout
    from rolecall.run import Options, declare, new_run_id, run_hosts, thorough

    declared = declare(project.load_roles(choose_roles(project.roles, flags)))
    if flags.verify_hashes:
        declared = thorough(declared)
    run_id = new_run_id()
    log = RunLog(project.state / "runs", run_id)
    stream = Stream([log, found])
    hosts = ",".join(flags.fab_hosts) or flags.hosts
    command = project.command(flags, TASK, hosts=hosts)
    options = Options(TASK, check=True, command=command, drift=True)
    try:
        run_hosts(
            plans, declared, options, stream, project.facts_cache(), run_id, Rollout(flags.forks)
        )
    finally:
        stream.finish()
        if found.status == 0:
            log.path.unlink(missing_ok=True)
        _forget_old(project)


def _forget_old(project: Project) -> None:
    """Remove the logs of all looks but the latest."""
    from rolecall.output.runlog import runs

    looks = [past for past in runs(project.state / "runs") if past.task == TASK]
    for past in sorted(looks, key=lambda past: past.started)[:-KEPT]:
        past.path.unlink(missing_ok=True)


def _tell(project: Project, flags: Flags, found: Found, plans: Sequence[HostPlan]) -> None:
    from rolecall.output.jsonl import stamped
    from rolecall.output.text import Charset

    told = _told(project, flags, found, plans)
    if flags.json:
        for event in events(told):
            print(stamped(event))
        return
    charset = Charset.of(sys.stdout.encoding)
    for line in lines(told, charset, full=flags.verbose):
        print(line)
    if found.status == 0 and not found.unknown and sys.stdout.isatty():
        print(nothing(found))


def _told(project: Project, flags: Flags, found: Found, plans: Sequence[HostPlan]) -> Told:
    """What was found, with what the record of earlier runs tells of it."""
    if not found.moved:
        return Told(found, {}, {})
    wanted = {(moved.host, moved.id) for moved in found.moved}
    hosts = {host for host, _ in wanted}
    homes = {plan.target.name: plan.home for plan in plans if plan.target.name in hosts}
    record = read_record(project.state / "runs", wanted, homes)
    settings = {
        plan.target.name: {
            role: {name: value for name, value, _ in settings_of(resolved)}
            for role, resolved in plan.resolved.items()
        }
        for plan in plans
    }
    due = {
        (moved, field): why
        for moved in found.moved
        for field, why in causes(record, settings[moved.host], moved).items()
    }
    changed = {host: _changed(record, settings[host], due, host) for host in sorted(hosts)}
    chosen = [name for name in found.hosts if name in hosts]
    where = "" if not flags.hosts and not flags.fab_hosts else ",".join(chosen)
    plan = project.command(flags, "plan", hosts=where)
    return Told(
        found,
        due,
        {host: said for host, said in changed.items() if said},
        f"{plan} shows it line by line; deploy instead of plan puts it right",
    )


def _changed(
    record: Record,
    settings: dict[str, dict[str, str]],
    due: dict[tuple[Moved, Field], Cause],
    host: str,
) -> list[Setting]:
    """The settings to name: those that differ from a run which explains a difference."""
    told: dict[Setting, None] = {}
    for (moved, _), why in due.items():
        if moved.host == host and why.due != "host" and why.run:
            told.update(dict.fromkeys(changed_settings(record, settings, host, why.run)))
    return list(told)


@contextmanager
def _at_work(found: Found, hosts: Sequence[str], *, quiet: bool) -> Iterator[None]:
    """On a terminal, a line that tells how many hosts are still asked; elsewhere nothing."""
    if quiet or not (sys.stdout.isatty() and sys.stderr.isatty()):
        yield
        return
    left = dict.fromkeys(hosts)
    lock = threading.Lock()

    def show() -> None:
        sys.stderr.write(f"\r\x1b[Kasking {len(left)} of {len(hosts)} …" if left else "\r\x1b[K")
        sys.stderr.flush()

    def over(host: str) -> None:
        with lock:
            left.pop(host, None)
            show()

    found.over = over
    show()
    try:
        yield
    finally:
        left.clear()
        show()
