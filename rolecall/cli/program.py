"""invoke's ``Program`` with an exit status of 2 for usage errors and optional positionals.

Start-up counts here: nothing heavy is imported before a task runs.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import invoke
from invoke.exceptions import Exit, ParseError
from invoke.parser import Argument, ParserContext
from invoke.program import Program

from rolecall import __version__
from rolecall.cli.helping import About, page
from rolecall.cli.usage import check_values, usage_errors
from rolecall.errors import RolecallError

#: The words of a line, the program's own options, and every task; the candidates, as lines.
Completes = Callable[[Sequence[str], ParserContext, invoke.Collection], Sequence[str]]


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
        about: About | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **{**kwargs, "auto_shortflags": False})
        self.optional_positional = optional_positional
        self.about = about or About()
        #: Answers ``--complete`` for the whole program: what was typed, and what there is.
        self.completes: Completes | None = None
        self._short = short or {}

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Invoke's arguments; invoke uses the help texts up, and we ask for them twice."""
        texts = dict(self.help)
        arguments: list[Argument] = super().get_arguments(ignore_unknown_help)
        self.help = texts
        return arguments

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
        with usage_errors(f"./{self.binary}"):
            super().parse_core(argv)
        sys.dont_write_bytecode = False

    def parse_core_args(self) -> None:
        """Parse them; ``--print-completion-script`` gives what ``completion`` gives."""
        super().parse_core_args()
        if shell := self.args["print-completion-script"].value:
            from rolecall.cli.completion import SHELLS, script

            if shell not in SHELLS:
                raise ParseError(f"--print-completion-script is for {', '.join(SHELLS)}")
            print(script(shell), end="")
            raise Exit

    def load_collection(self) -> None:
        """Load ``tasks.py``; what is wrong in the project's code is told with its place."""
        try:
            super().load_collection()
        except Exit:
            raise
        except Exception as error:
            from rolecall.output.errors import log_traceback, present

            if isinstance(error, RolecallError):
                present(error)
            else:
                root = Path(self.args["search-root"].value or ".")
                log_traceback(error, root / ".rolecall" / "logs")
            raise Exit(code=2) from error

    def parse_tasks(self) -> None:
        """Name optional positionals, then parse as invoke does."""
        tokens = self.core.unparsed
        contexts = self.collection.to_contexts()
        optional = self._optional_positionals()
        by_name = {str(context.name): context for context in contexts}
        with usage_errors(f"./{self.binary}", tokens, by_name, optional):
            self.core.unparsed = name_positionals(tokens, contexts, optional)
            check_values(self.core.unparsed, by_name)
            super().parse_tasks()
            if self.args.dry.value:  # invoke's own, under which every command "succeeds"
                raise ParseError("--dry is not supported; --check of a task writes nothing")

    def parse_cleanup(self) -> None:
        """Answer a shell that completes a line; else as invoke does."""
        if self.args.complete.value:
            self._complete()
        super().parse_cleanup()

    def _complete(self) -> None:
        """Print what may come next on the line behind ``--complete --``.

        A task that has ``completes`` knows the project's own names. Without one, invoke answers.
        """
        for name in self.collection.task_names:
            if completes := getattr(self.collection[name], "completes", None):
                typed = self.argv[self.argv.index("--") + 1 :] if "--" in self.argv else []
                for line in completes(typed, self.initial_context, self.collection):
                    print(line)
                raise Exit

    def print_task_help(self, name: str) -> None:
        """A task's help, with examples and exit statuses."""
        task = self.collection[name]
        lines = page(
            f"./{self.binary}",
            name,
            inspect.getdoc(task) or "",
            list(self.parser.contexts[name].args.values()),
            getattr(task, "optional_positional", ""),
            getattr(task, "about", About()),
        )
        print("\n".join(lines))

    def print_help(self) -> None:
        """The program's own options, those left out that are of no use here."""
        program = f"./{self.binary}"
        print(f"Usage: {program} TASK [OPTIONS]\n")
        print(f"  {program} --list shows the tasks, {program} TASK --help the options of one.")
        print(f"  {program} deploy begins; {program} plan shows what it would do.\n")
        print(f"Options of {program} itself, in front of the task:\n")
        hidden = ("--complete", "--dry", "--write-pyc", "--list-depth", "--no-dedupe")
        shown = self.initial_context.help_tuples()
        self.print_columns([(flag, text) for flag, text in shown if not _is_one_of(flag, hidden)])

    def no_tasks_given(self) -> None:
        """Without a task, say which there are."""
        self.list_tasks()
        program = f"./{self.binary}"
        print(f"{program} deploy begins; {program} TASK --help shows the options of a task.")
        raise Exit

    def _optional_positionals(self) -> dict[str, str]:
        return {
            name: positional
            for name in self.collection.task_names
            if (positional := getattr(self.collection[name], "optional_positional", ""))
        }


def _is_one_of(flags: str, names: Iterable[str]) -> bool:
    """Whether what help shows of an option, such as ``-R, --dry``, is one of ``names``."""
    return any(flag.partition("=")[0] in names for flag in flags.replace(",", " ").split())


_NUMBER = re.compile(r"-\d+")


def name_positionals(
    tokens: Sequence[str], contexts: Iterable[ParserContext], optional: dict[str, str]
) -> list[str]:
    """Insert ``--NAME`` in front of an optional positional's value.

    ``chat "What is X?"`` becomes ``chat --question "What is X?"``; what is named already, flags
    and their values stay as they are.

    Raises:
        ParseError: an option that takes a value has none; invoke lets ``--set`` pass.
    """
    by_name = {str(context.name): context for context in contexts}
    result: list[str] = []
    context: ParserContext | None = None
    wanted = ""
    takes_value = False
    for token in tokens:
        if takes_value:
            if context and token in context.flags:
                raise _needs_value(result[-1])
            takes_value = False
        elif wanted and _NUMBER.fullmatch(token):  # such as -2, the run before the last
            result.append(f"--{wanted}")
            wanted = ""
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
    if takes_value:
        raise _needs_value(result[-1])
    return result


def _needs_value(option: str) -> ParseError:
    return ParseError(f"{option} needs a value and was given none")


program = RolecallProgram(version=__version__, name="Rolecall", binary="inv", binary_names=["inv"])
