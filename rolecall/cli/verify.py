"""The task ``verify``: what must hold on hosts and clusters after a deploy."""

from __future__ import annotations

from collections.abc import Sequence

import invoke
from invoke.exceptions import Exit

from rolecall.cli.flags import from_arguments
from rolecall.cli.program import RolecallTask
from rolecall.cli.project import Project, reported
from rolecall.cli.tasks import task

_HELP = {
    "junit": "Also write the results to this file, as JUnit's XML.",
    "pytest": "Further options of pytest, such as --pytest '-k engine -x'.",
}

_EXAMPLES = {
    "": "this machine",
    "--hosts gpu --junit verify.xml": "a group, side by side, with a file for CI",
    "--tags engine,server": "the checks of these roles",
    "--pytest '-k streaming -x'": "some checks, up to the first that fails",
}

_ENDS = {0: "every check holds", 1: "one does not, or a host could not be asked"}


def verify_task(project: Project) -> RolecallTask:
    """``verify``."""

    @task(help=_HELP, examples=_EXAMPLES, ends=_ENDS)
    def verify(
        _: invoke.Context,
        hosts: str = "",
        tags: str = "",
        skip_tags: str = "",
        junit: str = "",
        pytest: str = "",
        inventory: str = "",
        set: Sequence[str] = (),  # noqa: A002
        forks: int = 10,
    ) -> None:
        """Check what must hold after a deploy.

        The checks are those of every role, roles/ROLE/verify.py, and your own in
        verify/.
        """
        from rolecall.verify.run import verify as run

        with reported(project.state):
            status = run(project, from_arguments(locals()), junit=junit, options=pytest)
        if status:
            raise Exit(code=status)

    return verify
