"""What is wrong with a command line, in words that say how to type it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches

from invoke.exceptions import Exit, ParseError
from invoke.parser import ParserContext

# invoke 2.2 names an option by its repr: <Argument: hosts (H)>, with a * or a type behind.
_NO_VALUE = re.compile(r"Flag <Argument: ([\w-]+)(?: \(([^)]*)\))?.*needed value")
_UNKNOWN = re.compile(r"No idea what '(.*)' is!", re.DOTALL)


#: Options that choose what is touched: a variable that a script has not set chooses nothing.
_NEVER_EMPTY = ("--hosts", "--tags")

#: The option under which a task writes nothing.
_CHECK = "--check"

#: Options whose value may be a list.
_LISTS = ("--hosts", "--inventory", "--tags", "--skip-tags")


class MeantOtherwiseError(ParseError):
    """What invoke would do is not what was meant; ``hint`` says how to type that."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def check_values(tokens: Sequence[str], tasks: Mapping[str, ParserContext]) -> None:
    """Refuse what invoke takes for something else than was meant.

    Raises:
        ParseError: an option that takes one value has a second, which invoke would take for the
            name of another task and run; a choice of hosts or roles is empty; or one task is to
            predict, and another would change what it finds.
    """
    context: ParserContext | None = None
    given: set[str] = set()
    predicts: dict[str, bool] = {}
    words = iter(tokens)
    for word in words:
        option, equals, value = word.partition("=")
        if context is None or option not in context.flags:
            if word in tasks:
                context, given = tasks[word], set()
                if _CHECK in context.flags and word != "plan":  # which predicts anyway
                    predicts[word] = False
            continue
        flag = context.flags[option]
        if not flag.takes_value:
            if option == _CHECK and context.name in predicts:
                predicts[str(context.name)] = True
            continue
        if not (value if equals else next(words, "")) and option in _NEVER_EMPTY:
            raise ParseError(f"{option} is empty")
        if str(flag.name) in given:
            lists = f"several go into one, with commas: {option} A,B"
            raise MeantOtherwiseError(
                f"{option} is given twice", lists if option in _LISTS else "give it once"
            )
        if flag.kind is not list:
            given.add(str(flag.name))
    _check_predictions(predicts)


def _check_predictions(predicts: Mapping[str, bool]) -> None:
    if len(set(predicts.values())) < 2:
        return
    real = next(task for task, is_prediction in predicts.items() if not is_prediction)
    only = next(task for task, is_prediction in predicts.items() if is_prediction)
    raise MeantOtherwiseError(
        f"{real} is a task of its own here, and would run for real: {_CHECK} is {only}'s",
        f"behind each task: {real} {_CHECK}; some roles of {only}: --tags {real} {_CHECK}",
    )


@contextmanager
def usage_errors(
    program: str,
    tokens: Sequence[str] = (),
    tasks: Mapping[str, ParserContext] | None = None,
    positionals: Collection[str] = (),
) -> Iterator[None]:
    """Exit with status 2 where the command line itself is wrong.

    ``tokens`` are what was typed, ``tasks`` the tasks that there are, by name, and
    ``positionals`` those among them that take a word of their own.
    """
    try:
        yield
    except (ParseError, ValueError) as error:
        hint = f"{program} --list shows the tasks, {program} TASK --help the options of one"
        if isinstance(error, ParseError):
            message, better = _explained(error, program, tasks or {}, positionals)
        else:  # int() of an option's value, inside invoke
            message, better = f"{_culprit(str(error), tokens)} is not a whole number", ""
        raise Exit(f"error: {message}\n  next: {better or hint}", code=2) from error


def _explained(
    error: ParseError,
    program: str,
    tasks: Mapping[str, ParserContext],
    positionals: Collection[str],
) -> tuple[str, str]:
    """Invoke's message in our words, and what to do; empty where there is nothing better."""
    if isinstance(error, MeantOtherwiseError):
        return str(error), error.hint
    if match := _NO_VALUE.search(str(error)):
        names = [match[1], *(match[2] or "").replace(" ", "").split(",")]
        option = " or ".join(f"--{n}" if len(n) > 1 else f"-{n}" for n in names if n)
        return f"{option} needs a value and was given none", ""
    match = _UNKNOWN.search(str(error))
    if not match:
        return str(error), ""
    word, task = match[1], str(getattr(error.context, "name", None) or "")
    if not word.startswith("-"):
        if task in positionals and not _similar(word, tasks):
            return (
                f"{task} takes one text, and {word!r} is a second",
                f'quote it: {task} "… {word}"',
            )
        return f"there is no task {word}", _similar(word, tasks)
    if word == "-H":
        return "-H is fabric's option", "./fab -H NAME TASK, or ./inv TASK --hosts PATTERN"
    if task:
        assert error.context is not None
        return f"{task} has no option {word}", _similar(word, error.context.flags)
    if any(word in context.flags for context in tasks.values()):
        return f"{word} is an option of tasks", f"write it behind the task: {program} TASK {word} …"
    return f"there is no option {word}", ""


def _similar(word: str, known: Collection[str]) -> str:
    close = get_close_matches(word, [*known], 1, 0.6)
    return f"did you mean {close[0]}?" if close else ""


def _culprit(said: str, tokens: Sequence[str]) -> str:
    """The option and the value that ``int`` complained about, as they were typed."""
    for before, token in zip(["", *tokens], tokens, strict=False):
        value = token.partition("=")[2] if token.startswith("--") else token
        if said.endswith(f": {value!r}"):
            return token if token.startswith("--") else f"{before} {token}"
    return said.rpartition(": ")[2]
