"""invoke's ``Program`` with an exit status of 2 for usage errors and optional positionals.

Start-up counts here: nothing heavy is imported before a task runs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import invoke
from invoke.exceptions import Exit, ParseError
from invoke.parser import ParserContext
from invoke.program import Program


class RolecallTask(invoke.Task):  # type: ignore[type-arg]
    """An invoke task whose last positional may be left out, and whose short flags are chosen.

    invoke 2 knows no optional positional (pyinvoke/invoke#159): a positional is either required
    or has to be named. The program names it where the user did not.
    """

    def __init__(
        self,
        *args: Any,
        optional_positional: str = "",
        short: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **{**kwargs, "auto_shortflags": False})
        self.optional_positional = optional_positional
        self._short = short or {}

    def arg_opts(self, name: str, default: Any, taken_names: set[str]) -> dict[str, Any]:
        """Invoke's options of one argument, with our short flag."""
        opts: dict[str, Any] = super().arg_opts(name, default, taken_names)
        if name in self.iterable:
            opts.update(kind=list, default=[])
        if name in self._short:
            opts["names"] = [*opts["names"], self._short[name]]
        return opts


class RolecallProgram(Program):
    """``./inv``: invoke with exit status 2 for usage errors and cached byte code."""

    def parse_core(self, argv: list[str] | None) -> None:
        """Parse core flags, but let Python cache byte code: start-up is measured."""
        with _usage_errors():
            super().parse_core(argv)
        sys.dont_write_bytecode = False

    def parse_tasks(self) -> None:
        """Name optional positionals, then parse as invoke does."""
        self.core.unparsed = name_positionals(
            self.core.unparsed, self.collection.to_contexts(), self._optional_positionals()
        )
        with _usage_errors():
            super().parse_tasks()

    def _optional_positionals(self) -> dict[str, str]:
        return {
            name: positional
            for name in self.collection.task_names
            if (positional := getattr(self.collection[name], "optional_positional", ""))
        }


@contextmanager
def _usage_errors() -> Iterator[None]:
    """Exit with status 2 where the command line itself is wrong."""
    try:
        yield
    except ParseError as error:
        hint = "./inv --list shows the tasks, ./inv TASK --help the options of one"
        raise Exit(f"error: {error}\n  next: {hint}", code=2) from error


def name_positionals(
    tokens: Sequence[str], contexts: Iterable[ParserContext], optional: dict[str, str]
) -> list[str]:
    """Insert ``--NAME`` in front of an optional positional's value.

    ``chat "What is X?"`` becomes ``chat --question "What is X?"``; what is named already, flags
    and their values stay as they are.
    """
    by_name = {str(context.name): context for context in contexts}
    result: list[str] = []
    context: ParserContext | None = None
    wanted = ""
    takes_value = False
    for token in tokens:
        if takes_value:
            takes_value = False
        elif token.startswith("-") and len(token) > 1:
            flag = context.flags.get(token) if context else None
            takes_value = bool(flag and flag.takes_value)
            if token.partition("=")[0] == f"--{wanted}":
                wanted = ""
        elif wanted:
            result.append(f"--{wanted}")
            wanted = ""
        elif token in by_name:
            context = by_name[token]
            wanted = optional.get(token, "")
        result.append(token)
    return result


program = RolecallProgram(version="0.1.0", name="Rolecall", binary="inv", binary_names=["inv"])
