"""``rollback``: serve again what was served before."""

from __future__ import annotations

from rolecall.api import Host, Resource, ServiceRollback, status_script
from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.loop.answers import parts
from rolecall.resource import Observed
from rolecall.session import Session
from rolecall.shell_run import Opened
from roles.k8s.rollback import cluster_rollback
from roles.server.role import service


def roll_back(project: Project, flags: Flags) -> int:
    """Take the chosen hosts back to what each served before; returns the exit status.

    Which start that is, each host says first; then it is converged like anything else, so that
    ``--check`` shows it and a host without one is refused by name.
    """
    ways, silent = project.ask(flags, _host_rollback, on_cluster=cluster_rollback)

    def declare(host: Host) -> list[tuple[str, Resource]]:
        if host.name in silent:
            raise silent[host.name]
        return ways[host.name]

    return project.converge("rollback", flags, what=declare)


def _host_rollback(session: Session, opened: Opened) -> list[tuple[str, Resource]]:
    running = service(opened.host)
    script = f"rc_frame service\n{status_script(running.directory)}"
    said = parts(session.exchange(script))
    status = next(Observed.parse(part.text) for part in said if part.frame.kind == "service")
    to = status.get("previous")
    return [("server", ServiceRollback(running.service, running.directory, to))]
