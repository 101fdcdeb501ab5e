"""The task ``preflight``."""

from __future__ import annotations

from collections.abc import Sequence

import invoke
from invoke.exceptions import Exit

from rolecall.cli.flags import from_arguments
from rolecall.cli.program import RolecallTask
from rolecall.cli.project import Project, reported
from rolecall.cli.tasks import task


def preflight_task(project: Project) -> RolecallTask:
    """``preflight``."""

    @task(
        help={"no_fetch": "Write nothing to a host: size only models whose card is there."},
        examples={
            "--hosts gpu": "whether the model fits each host, and what would",
            "--set engine.max_batch_size=8": "the same with another setting",
        },
        ends={1: "it would not fit, or a host could not be asked"},
    )
    def preflight(
        _: invoke.Context,
        hosts: str = "",
        inventory: str = "",
        set: Sequence[str] = (),  # noqa: A002
        json: bool = False,
        no_fetch: bool = False,
        lock_wait: str = "0",
    ) -> None:
        """Size the model against each host, and say what would fit."""
        from roles.preflight.show import show_preflight

        flags = from_arguments(locals())
        with reported(project.state, json=json):
            good = show_preflight(project, flags, fetch=not no_fetch)
        if not good:
            raise Exit(code=1)

    return preflight
