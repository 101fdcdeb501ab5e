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
        },
        examples={
            "--hosts gpu": "show the keys of a group's hosts, and ask for each",
            "--hosts gpu-1 --replace": "accept a key that has changed",
        },
        ends={1: "a key was not accepted, or a host could not be reached"},
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
        """Show the SSH keys of hosts and jump hosts, and accept them."""
        from rolecall.cli.trust import trust as run

        flags = from_arguments(locals())
        with reported(project.state):
            if not run(project, flags, ask=not yes, replace=replace, shared=shared):
                raise Exit(code=1)

    return trust


def unlock_task(project: Project) -> RolecallTask:
    """``unlock --hosts NAME``."""

    @task(
        help={"force": "End the run that holds the lock, if it still lives."},
        examples={
            "--hosts gpu-1": "remove a dead run's lock",
            "--hosts gpu-1 --force": "end the run that holds it",
        },
        ends={1: "a host is locked by a run that lives, or could not be reached"},
    )
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
        examples={
            "--hosts gpu-1": "the jobs of a host, and how they ended",
            "-f engine --hosts gpu-1": "the log of one, until it ends",
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
