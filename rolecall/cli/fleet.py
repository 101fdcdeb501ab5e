"""The tasks about hosts and fleets: trust, unlock, jobs."""

from __future__ import annotations

from collections.abc import Sequence

import invoke
from invoke.exceptions import Exit

from rolecall.cli.flags import from_arguments
from rolecall.cli.program import RolecallTask
from rolecall.cli.project import Project, reported
from rolecall.cli.tasks import task


def fleet_tasks(project: Project) -> list[RolecallTask]:
    """Every task about the hosts themselves."""
    return [trust_task(project), unlock_task(project), jobs_task(project)]


def trust_task(project: Project) -> RolecallTask:
    """``trust --hosts NAME``."""

    @task(
        help={
            "yes": "Do not ask; the fingerprint was compared already.",
            "replace": "Accept a key that has changed, and forget the old one.",
            "shared": "Begin a file known_hosts beside the inventory, for all who use it.",
        }
    )
    def trust(
        _: invoke.Context,
        hosts: str = "",
        inventory: str = "",
        set: Sequence[str] = (),  # noqa: A002
        yes: bool = False,
        replace: bool = False,
        shared: bool = False,
    ) -> None:
        """Show the SSH key of a host, and of its jump hosts, and accept it."""
        from rolecall.cli.trust import trust as run

        flags = from_arguments(locals())
        with reported(project.state):
            if not run(project, flags, ask=not yes, replace=replace, shared=shared):
                raise Exit(code=1)

    return trust


def unlock_task(project: Project) -> RolecallTask:
    """``unlock --hosts NAME``."""

    @task(help={"force": "End the run that holds the lock, if it still lives."})
    def unlock(
        _: invoke.Context,
        hosts: str = "",
        inventory: str = "",
        set: Sequence[str] = (),  # noqa: A002
        force: bool = False,
    ) -> None:
        """Remove the lock that a dead run left on a host."""
        from rolecall.cli.unlock import unlock as run

        flags = from_arguments(locals())
        with reported(project.state):
            if not run(project, flags, force=force):
                raise Exit(code=1)

    return unlock


def jobs_task(project: Project) -> RolecallTask:
    """``jobs [NAME]``."""

    @task(
        positional="name",
        help={
            "name": "Print the log of this job.",
            "follow": "Go on until the job ends; Ctrl-C leaves it running.",
            "cancel": "Stop the job.",
        },
    )
    def jobs(
        _: invoke.Context,
        name: str = "",
        follow: bool = False,
        cancel: bool = False,
        hosts: str = "",
        inventory: str = "",
        set: Sequence[str] = (),  # noqa: A002
    ) -> None:
        """List the long jobs of a host, follow one, or stop it."""
        from rolecall.cli.jobs import show_jobs

        flags = from_arguments(locals())
        with reported(project.state):
            show_jobs(project, flags, name, follow=follow, cancel=cancel)

    return jobs
