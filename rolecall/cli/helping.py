"""``./inv TASK --help``: what a task does, its options by what they are about, examples, ends."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from invoke.parser import Argument

#: Columns of a help page.
WIDTH = 80

#: What options are about, by heading; all others are the task's own and come first.
GROUPS: Mapping[str, Sequence[str]] = {
    "Which hosts, and how many at a time": (
        "hosts",
        "inventory",
        "forks",
        "serial",
        "max_fail",
        "canary",
    ),
    "Which roles, with which settings": ("tags", "skip_tags", "set"),
    "In a cluster": ("force_conflicts", "delete_data"),
    "What is shown": ("json", "verbose", "detailed_exitcode"),
}

#: What stands for an option's value; else N for a number and TEXT.
VALUES: Mapping[str, str] = {
    "hosts": "PATTERN",
    "inventory": "PATH",
    "serial": "N|N%",
    "canary": "HOST",
    "host": "HOST",
    "group": "GROUP",
    "recipe": "GROUP",
    "tags": "ROLE,…",
    "skip_tags": "ROLE,…",
    "role": "ROLE",
    "set": "ROLE.KEY=VALUE",
    "lock_wait": "TIME",
    "run": "RUN",
    "resource": "ID",
    "out": "FILE",
    "output": "DIRECTORY",
    "render": "DIRECTORY",
    "wheels": "DIRECTORY",
    "junit": "FILE",
}

#: How a command ends, unless its task says otherwise.
ENDS: Mapping[int, str] = {
    0: "all is well",
    1: "something failed, or a host could not be asked",
    2: "the command line, the inventory or a setting is wrong",
    130: "interrupted with Ctrl-C",
}


@dataclass(frozen=True)
class About:
    """What a task's help tells besides its docstring and its options.

    Attributes:
        examples: what is typed behind ``./inv TASK``, and what that does.
        ends: exit statuses that mean something else, or more, than :data:`ENDS`.
    """

    examples: Mapping[str, str] = field(default_factory=dict)
    ends: Mapping[int, str] = field(default_factory=dict)


def page(
    program: str, name: str, doc: str, options: Sequence[Argument], positional: str, about: About
) -> Iterator[str]:
    """The lines of a task's help; none is wider than :data:`WIDTH`."""
    word = f" [{_value(positional, options)}]" if positional else ""
    yield f"Usage: {program} {name}{word} [OPTIONS]"
    yield ""
    for line in doc.strip().splitlines():
        yield f"  {line}".rstrip()
    for heading, group in _grouped(options):
        yield ""
        yield f"{heading}:"
        yield from _columns([(_flags(one), _help(one)) for one in group])
    if about.examples:
        yield ""
        yield "Examples:"
        for typed, said in about.examples.items():
            yield f"  {program} {name} {typed}".rstrip()
            yield from textwrap.wrap(said, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    yield ""
    yield "Exit status:"
    ends = {**ENDS, **about.ends}
    yield from _columns([(str(status), ends[status]) for status in sorted(ends)])


def _grouped(options: Sequence[Argument]) -> Iterator[tuple[str, list[Argument]]]:
    """The options by heading, the task's own first; empty groups are left out."""
    named = {name for names in GROUPS.values() for name in names}
    own = [one for one in options if _name(one) not in named]
    groups = {"Options": sorted(own, key=_name)}
    for heading, names in GROUPS.items():
        known = {_name(one): one for one in options}
        groups[heading] = [known[name] for name in names if name in known]
    if not own:  # there is no need to tell them apart
        groups = {"Options": [one for group in groups.values() for one in group]}
    return ((heading, group) for heading, group in groups.items() if group)


def _name(option: Argument) -> str:
    return str(option.name).replace("-", "_")


def _value(name: str, options: Sequence[Argument]) -> str:
    return VALUES.get(name.replace("-", "_"), name.upper())


def _flags(option: Argument) -> str:
    """Such as ``-f, --follow`` and ``--forks=N``."""
    names = sorted(option.names, key=len)
    flags = [f"-{one}" if len(one) == 1 else f"--{one.replace('_', '-')}" for one in names]
    if option.takes_value:
        named = "N" if option.kind is int else VALUES.get(_name(option), "TEXT")
        joint = "=" if len(names[-1]) > 1 else " "
        flags[-1] += f"{joint}{named}"
    return ", ".join(flags)


def _help(option: Argument) -> str:
    text = " ".join((option.help or "").split())
    default = option.default
    if option.kind is bool or default in (None, "", [], ()) or default == -1:
        return text
    return f"{text} Default: {default}."


def _columns(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Two columns; where the first is wide, the second begins on a line of its own."""
    wide = min(max(len(left) for left, _ in rows), 24)
    for left, right in rows:
        indent = " " * (wide + 5)
        lines = textwrap.wrap(right, WIDTH - len(indent), break_on_hyphens=False) or [""]
        if len(left) > wide:
            yield f"  {left}"
        else:
            yield f"  {left:<{wide}}   {lines.pop(0)}".rstrip()
        for line in lines:
            yield f"{indent}{line}"
