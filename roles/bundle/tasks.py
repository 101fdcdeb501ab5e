"""The task ``bundle``."""

from __future__ import annotations

from collections.abc import Sequence

import invoke

from rolecall.cli.flags import from_arguments
from rolecall.cli.program import RolecallTask
from rolecall.cli.project import Project, reported
from rolecall.cli.tasks import task

_HELP = {
    "output": "The directory: a new one, or a bundle to complete and verify.",
    "python": "The host's Python, such as 3.12; else what is known of the host.",
    "arch": "The host's machine, such as x86_64.",
    "glibc": "The host's C library, such as 2.39.",
    "os": "The host's release, such as ubuntu:24.04.",
    "runner": "Also what ./inv itself needs, to run it where there is no network.",
    "without": "Leave out, with commas: wheels, models, git, packages, images, or a lock.",
}

_EXAMPLES = {
    "--output bundle": "what this machine needs",
    "--output bundle --hosts gpu --runner": "what a group's hosts need, and ./inv itself",
}


def bundle_task(project: Project) -> RolecallTask:
    """``bundle``."""

    @task(help=_HELP, examples=_EXAMPLES)
    def bundle(
        _: invoke.Context,
        output: str = "",
        python: str = "",
        arch: str = "",
        glibc: str = "",
        os: str = "",
        without: str = "",
        runner: bool = False,
        hosts: str = "",
        inventory: str = "",
        set: Sequence[str] = (),  # noqa: A002
    ) -> None:
        """Collect all that hosts need, to deploy without a network."""
        flags = from_arguments(locals())
        with reported(project.state):
            from pathlib import Path

            from rolecall.errors import ConfigError
            from roles.bundle.collect.collect import collect
            from roles.bundle.collect.target import Asked

            if not output:
                raise ConfigError("--output is missing", "name the directory: --output bundle")
            asked = Asked(python, arch, glibc, os)
            collect(project, flags, Path(output).absolute(), asked, without, runner=runner)

    return bundle
