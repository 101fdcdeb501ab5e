"""The task ``k8s``."""

from __future__ import annotations

from collections.abc import Sequence

import invoke
from invoke.exceptions import Exit

from rolecall.cli.flags import from_arguments
from rolecall.cli.program import RolecallTask
from rolecall.cli.project import Project, reported
from rolecall.cli.tasks import task

_HELP = {"render": "Write the manifests into this directory instead; no cluster is asked."}


def k8s_task(project: Project) -> RolecallTask:
    """``k8s``."""

    @task(
        help=_HELP,
        examples={
            "--hosts cluster --diff": "serve there, and show what changes",
            "--render manifests": "write what would be applied as files, for GitOps",
        },
    )
    def k8s(
        _: invoke.Context,
        render: str = "",
        check: bool = False,
        diff: bool = False,
        set: Sequence[str] = (),  # noqa: A002
        hosts: str = "",
        inventory: str = "",
        json: bool = False,
        verbose: bool = False,
        lock_wait: str = "0",
        force_conflicts: bool = False,
        delete_data: bool = False,
        detailed_exitcode: bool = False,
    ) -> None:
        """Serve on a cluster, or write its manifests as files."""
        flags = from_arguments(locals())
        with reported(project.state, json=json):
            if render:
                from roles.k8s.rendered import render_manifests

                render_manifests(project, flags, render)
                return
            status = project.converge("k8s", flags, roles=["k8s"])
        if status:
            raise Exit(code=status)

    return k8s
