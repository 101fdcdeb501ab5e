"""The task ``dashboard``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import invoke

from rolecall.cli.flags import from_arguments
from rolecall.cli.program import RolecallTask
from rolecall.cli.project import Project, reported
from rolecall.cli.tasks import task


def dashboard_task(project: Project) -> RolecallTask:
    """``dashboard``."""

    @task(
        help={"out": "The directory to write to, made if it is missing."},
        examples={
            "--hosts all": "every host of the inventory",
            "--hosts gpu --out /etc/prometheus/triton": "a group's, to another place",
        },
        ends={1: "a file cannot be written"},
    )
    def dashboard(
        _: invoke.Context,
        out: str = "dashboard",
        hosts: str = "",
        inventory: str = "",
        set: Sequence[str] = (),  # noqa: A002
    ) -> None:
        """Write Prometheus' config and alerts, and a Grafana dashboard.

        No host is asked: addresses and ports are those of the inventory.
        """
        flags = from_arguments(locals())
        with reported(project.state):
            from roles.dashboard.write import write_dashboard

            write_dashboard(project, flags, Path(out).expanduser())

    return dashboard
