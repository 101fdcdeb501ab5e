"""``--complete``: invoke's hidden option, answered for a project's own values too."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace

from invoke import Collection
from invoke.parser import ParserContext

from rolecall.cli.completion.values import ProjectValues
from rolecall.cli.completion.words import Grammar, complete, describe, split
from rolecall.cli.project import Project


@dataclass(frozen=True)
class Answer:
    """Completes the command lines of one project."""

    project: Project

    def __call__(
        self, arguments: Sequence[str], core: ParserContext, collection: Collection
    ) -> list[str]:
        """The candidates, as lines; ``arguments`` are the line, in one piece or several."""

        def docstring(name: str) -> str | None:
            return inspect.getdoc(collection[name])

        tasks = {str(context.name): context for context in collection.to_contexts()}
        grammar = Grammar(core, tasks)
        words = split(" ".join(arguments))
        grammar = replace(
            grammar,
            about=describe(docstring, tasks) if "=" not in words[-1] else {},
            positionals={
                name: positional
                for name in tasks
                if (positional := getattr(collection[name], "optional_positional", ""))
            },
        )
        return list(complete(words, grammar, ProjectValues(self.project)))
