"""``rollback``: serve again what was served before."""

from __future__ import annotations

from rolecall.api import Host, ServiceRollback, status_script
from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.loop.answers import parts
from rolecall.resource import Observed, Resource
from rolecall.run import Opened
from rolecall.session import Session
from roles.server.role import service


def roll_back(project: Project, flags: Flags) -> int:
    """Take the chosen hosts back to what each served before; returns the exit status.

    Which start that is, each host says first; then it is converged like anything else, so that
    ``--check`` shows it and a host without one is refused by name.
    """

    def question(session: Session, opened: Opened) -> str:
        directory = service(opened.host).directory
        said = parts(session.exchange(f"rc_frame service\n{status_script(directory)}"))
        status = next(Observed.parse(part.text) for part in said if part.frame.kind == "service")
        return status.get("previous")

    earlier, _ = project.ask(flags, question)  # of a host that is silent, the run says so

    def declare(host: Host) -> list[tuple[str, Resource]]:
        running = service(host)
        to = earlier.get(host.name, "")
        return [("server", ServiceRollback(running.service, running.directory, to))]

    return project.converge("rollback", flags, what=declare)
