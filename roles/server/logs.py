"""``logs``: the server's log, once or live."""

from __future__ import annotations

import sys

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.errors import RolecallError
from rolecall.resources.service import logs_script
from rolecall.session import Line
from rolecall.shell import quote
from roles.server.role import service


def show_logs(project: Project, flags: Flags, *, lines: int, follow: bool) -> None:
    """Print the last lines of the log, and with ``follow`` what comes after them.

    Raises:
        RolecallError: there is no log.
    """
    for session, opened in project.look(flags, what=lambda _: []):
        path = quote(service(opened.host).log)
        show = logs_script(service(opened.host).directory, lines, follow=follow)
        script = f"[ -f {path} ] || {{ rc_frame none; return 0; }}\n{show}"
        try:
            for item in session.exchange(script):
                if not isinstance(item, Line):
                    raise RolecallError(
                        f"there is no log on {opened.host.name}: the server was never started",
                        "./inv deploy or ./inv start starts it",
                    )
                sys.stdout.write(f"{item.text}\n")
                sys.stdout.flush()
        except KeyboardInterrupt:
            session.interrupt()
