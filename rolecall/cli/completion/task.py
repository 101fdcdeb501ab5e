"""The task ``completion``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import invoke

from rolecall.cli.completion import SHELLS, script
from rolecall.cli.program import Completes, RolecallTask
from rolecall.cli.project import Project, reported
from rolecall.cli.tasks import task
from rolecall.errors import ConfigError

if TYPE_CHECKING:
    from invoke import Collection
    from invoke.parser import ParserContext


def completion_task(project: Project) -> RolecallTask:
    """``completion SHELL``. It also answers ``--complete`` for the whole program."""

    @task(
        positional="shell",
        help={"shell": "bash, zsh or fish."},
        examples={
            "bash": 'in ~/.bashrc: eval "$(/path/to/inv completion bash)"',
            "zsh": 'in ~/.zshrc, after compinit: eval "$(/path/to/inv completion zsh)"',
            "fish": "in ~/.config/fish/config.fish: /path/to/inv completion fish | source",
        },
    )
    def completion(_: invoke.Context, shell: str = "") -> None:
        """Print what a shell needs to complete ./inv and ./fab with Tab."""
        with reported(project.state):
            if shell not in SHELLS:
                raise ConfigError(
                    f"completion is for {', '.join(SHELLS)}"
                    + (f", not for {shell}" if shell else ": which?"),
                    'for bash, in ~/.bashrc: eval "$(/path/to/inv completion bash)"',
                )
            print(script(shell), end="")

    completion.completes = _answer(project)
    return completion


def _answer(project: Project) -> Completes:
    def answer(arguments: Sequence[str], core: ParserContext, collection: Collection) -> list[str]:
        from rolecall.cli.completion.answer import Answer

        return Answer(project)(arguments, core, collection)

    return answer
