"""The tasks ``image`` and ``serve``."""

from __future__ import annotations

from collections.abc import Sequence

import invoke
from invoke.exceptions import Exit

from rolecall.cli.flags import from_arguments
from rolecall.cli.program import RolecallTask
from rolecall.cli.project import Project, reported
from rolecall.cli.tasks import task

_HELP = {
    "build": "Build it, unless an image of the same content is there.",
    "recipe": "The group of the inventory that it is for, such as cpu, gpu or t9k_published.",
    "push": "Bring it to a registry: REGISTRY/NAME; the tag is its content's.",
    "engine": "docker or podman.",
    "base": "Build on this image, such as a mirror's, instead of the recipe's own.",
    "wheels": "Take all wheels from this directory; the build then has no network.",
    "network": "The build's network: none or host, instead of the engine's default.",
}


def image_task(project: Project) -> RolecallTask:
    """``image``."""

    @task(
        help=_HELP,
        examples={
            "--recipe gpu": "name the image, its base and its tag",
            "--recipe cpu --build --engine podman": "build it, unless it is there",
        },
    )
    def image(
        _: invoke.Context,
        build: bool = False,
        recipe: str = "cpu",
        push: str = "",
        engine: str = "",
        base: str = "",
        wheels: str = "",
        network: str = "",
        inventory: str = "",
        set: Sequence[str] = (),  # noqa: A002
    ) -> None:
        """Show, build or push a recipe's image, tagged by its content."""
        from roles.images.image import Wanted, run

        flags = from_arguments(locals())
        with reported(project.state):
            run(project, Wanted(recipe, base, engine, wheels, network, push, build), flags)

    return image


def serve_task(project: Project) -> RolecallTask:
    """``serve``."""

    @task(
        help={
            "prepare": "Make all that serving needs, and end: what a job does for a volume.",
            "openai": "Become what speaks OpenAI's API, beside a container that serves.",
        },
        examples={
            "": "what an image's container runs",
            "--prepare": "what a cluster's job runs, to fill the volume",
            "--openai": "what a second container of a pod runs, with server.openai",
        },
    )
    def serve(
        _: invoke.Context,
        prepare: bool = False,
        openai: bool = False,
        hosts: str = "",
        inventory: str = "",
        set: Sequence[str] = (),  # noqa: A002
        verbose: bool = False,
        json: bool = False,
        lock_wait: str = "10m",
    ) -> None:
        """Converge this machine, then become Triton: for containers."""
        from roles.images.serve import serve as run

        flags = from_arguments(locals())
        with reported(project.state, json=json):
            if openai:
                from roles.images.openai import speak

                speak(project, flags)
            status = run(project, flags, prepare=prepare)
        if status:
            raise Exit(code=status)

    return serve
