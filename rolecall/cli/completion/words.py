"""Which words may come next on a command line."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Protocol

from invoke.parser import Argument, ParserContext

from rolecall.cli.completion import FILES

#: The names of programs behind whose name the words begin.
PROGRAMS = frozenset({"inv", "fab", "invoke"})


@dataclass(frozen=True)
class Candidate:
    """A word that may come next, and what it means."""

    word: str
    about: str = ""

    def __str__(self) -> str:
        return f"{self.word}\t{self.about}" if self.about else self.word


class Values(Protocol):
    """What an option or a positional may be given."""

    def of(self, name: str, typed: str, given: Mapping[str, str]) -> Iterable[Candidate] | None:
        """The words for argument ``name`` that begin with ``typed``; None: files.

        ``given`` are the values that other options of the line have been given, by name.
        """
        ...


@dataclass(frozen=True)
class Grammar:
    """What may stand on a command line.

    Attributes:
        core: the program's own options.
        tasks: the options of each task.
        about: a sentence on each task.
        positionals: the tasks that take a word of their own, and the argument that it is.
    """

    core: ParserContext
    tasks: Mapping[str, ParserContext]
    about: Mapping[str, str] = field(default_factory=dict)
    positionals: Mapping[str, str] = field(default_factory=dict)


def split(line: str) -> list[str]:
    """The words of a line up to the cursor, the program's left out; the last is being typed.

    Quotes need not be closed yet.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        while (word := lexer.get_token()) is not None:
            words.append(word)
        if not line or line[-1].isspace():
            words.append("")
    except ValueError:  # within quotes
        words.append(lexer.token or "")
    for number, word in enumerate(words[:-1]):
        if PurePath(word).name in PROGRAMS:
            return words[number + 1 :]
    return words[1:] or [""]


def complete(words: Sequence[str], grammar: Grammar, values: Values) -> Iterator[str]:
    """The candidates for the last word, as lines."""
    at = _Place.behind(words[:-1], grammar)
    typed = words[-1]
    found = at.candidates(typed, grammar, values)
    if found is None:
        yield FILES
        return
    for candidate in found:
        if candidate.word.startswith(typed):
            yield str(candidate)


@dataclass
class _Place:
    """Where on the line the cursor is: in which task, behind which option."""

    context: ParserContext
    task: str = ""
    waiting: Argument | None = None
    positional: str = ""
    given: dict[str, str] = field(default_factory=dict)

    @classmethod
    def behind(cls, words: Iterable[str], grammar: Grammar) -> _Place:
        place = cls(grammar.core)
        for word in words:
            place._pass(word, grammar)
        return place

    def _pass(self, word: str, grammar: Grammar) -> None:
        if self.waiting:
            self.given[_key(self.waiting)] = word
            self.waiting = None
        elif word.startswith("-") and len(word) > 1:
            name, equals, value = word.partition("=")
            flag = self._flag(name, grammar)
            if flag:
                self.given[_key(flag)] = value
                self.waiting = flag if _wants_value(flag) and not equals else None
                self.positional = "" if _key(flag) == self.positional else self.positional
        elif self.positional:
            self.given[self.positional] = word
            self.positional = ""
        elif word in grammar.tasks:
            self.task, self.context = word, grammar.tasks[word]
            self.positional = grammar.positionals.get(word, "")
            self.given = {}

    def _flag(self, name: str, grammar: Grammar) -> Argument | None:
        found: Argument | None = self.context.flags.get(name) or grammar.core.flags.get(name)
        return found

    def candidates(
        self, typed: str, grammar: Grammar, values: Values
    ) -> Iterable[Candidate] | None:
        if self.waiting:
            return values.of(_key(self.waiting), typed, self.given)
        if typed.startswith("-"):
            return self._behind_dash(typed, grammar, values)
        if not self.task:
            return _tasks(grammar)
        return self._in_task(typed, grammar, values)

    def _behind_dash(
        self, typed: str, grammar: Grammar, values: Values
    ) -> Iterable[Candidate] | None:
        name, equals, value = typed.partition("=")
        flag = self._flag(name, grammar)
        if not (equals and flag):
            return self._options(short=typed == "-")
        found = values.of(_key(flag), value, self.given)
        if found is None:
            return None
        return [Candidate(f"{name}={one.word}", one.about) for one in found]

    def _in_task(self, typed: str, grammar: Grammar, values: Values) -> Iterable[Candidate] | None:
        """A word of the task's own, else its options; another task, where one is being typed."""
        if self.positional:
            found = values.of(self.positional, typed, self.given)
            if found is None:
                return None
            if matching := [one for one in found if one.word.startswith(typed)]:
                return matching
        return _tasks(grammar) if typed else self._options()

    def _options(self, *, short: bool = False) -> Iterator[Candidate]:
        """The options that were not given yet; ``--set`` may be given again."""
        for flag in sorted(self.context.flags.values(), key=_key):
            if _key(flag) in self.given and flag.kind is not list:
                continue
            for name in flag.names:
                dashed = f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}"
                if len(name) > 1 or short:
                    yield Candidate(dashed, _sentence(flag.help))
        if self.task:
            yield Candidate("--help", "Show the options of this task.")


def _key(flag: Argument) -> str:
    """The long name of an option."""
    return str(max(flag.names, key=len))


def _wants_value(flag: Argument) -> bool:
    """Whether the next word is the option's value, and cannot be anything else."""
    return bool(flag.takes_value and not flag.optional)


def _tasks(grammar: Grammar) -> Iterator[Candidate]:
    for name in sorted(grammar.tasks):
        yield Candidate(name, grammar.about.get(name, ""))


def _sentence(text: str | None) -> str:
    """The first sentence of a help text, in one line."""
    line = " ".join((text or "").split())
    return line.partition(". ")[0].rstrip(".")


def describe(docstring: Callable[[str], str | None], names: Iterable[str]) -> dict[str, str]:
    """The first line of each task's docstring."""
    return {name: _sentence((docstring(name) or "").strip().split("\n")[0]) for name in names}
