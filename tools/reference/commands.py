"""The reference of commands, from the tasks as ``./inv --list`` knows them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import invoke
from invoke.parser import Argument

import tasks
from rolecall.cli.flags import HELP
from rolecall.cli.helping import ENDS, VALUES, About
from tools.reference import MADE, cell, code

_FAB = (
    "`./fab -H NAMES TASK` runs the same tasks, with fabric's options in front of the task "
    "([hosts over SSH](../remote-hosts.md)). Tasks that ask nothing of a host, such as `settings`, "
    "are there too."
)


def page() -> str:
    """The page."""
    known = {name: tasks.ns[name] for name in tasks.ns.task_names}
    common = _common(known)
    parts = [
        "# Commands",
        MADE,
        f"Every task of `./inv --list`. {_FAB}",
        "The exit status, unless a task says otherwise:\n\n" + _ends(ENDS),
        "## Options of a run",
        "Every task that converges has these. Below, only what a task has besides is listed.",
        _table(common),
    ]
    converging = [name for name, task in known.items() if _has_all(task, common)]
    parts.append(f"They are options of {', '.join(f'[{n}](#{n})' for n in converging)}.")
    parts.append("## Tasks")
    for name, task in known.items():
        parts += _task(name, task, {*common} if name in converging else set())
    return "\n\n".join(parts) + "\n"


def _arguments(task: invoke.Task) -> dict[str, Argument]:  # type: ignore[type-arg]
    return {str(argument.name): argument for argument in task.get_arguments()}


def _common(known: dict[str, invoke.Task]) -> dict[str, Argument]:  # type: ignore[type-arg]
    return {name: one for name, one in _arguments(known["deploy"]).items() if name in HELP}


def _has_all(task: invoke.Task, common: dict[str, Argument]) -> bool:  # type: ignore[type-arg]
    return {*common} <= {*_arguments(task)}


def _task(name: str, task: invoke.Task, left_out: set[str]) -> list[str]:  # type: ignore[type-arg]
    text = inspect.cleandoc(task.__doc__ or "").replace("``", "`")
    own = {key: one for key, one in _arguments(task).items() if key not in left_out}
    optional = getattr(task, "optional_positional", "")
    usage = (
        f"./inv {name}"
        + (f" [{VALUES.get(optional, optional.upper())}]" if optional else "")
        + " [OPTION…]"
    )
    parts = [f"### {name}", text, f"`{usage}`"]
    if left_out:
        parts[-1] += ", with the [options of a run](#options-of-a-run)"
    parts += [_table(own)] if own else []
    about = getattr(task, "about", About())
    if about.examples:
        rows = [
            f"| {code(cell(f'./inv {name} {typed}'.strip()))} | {cell(said)} |"
            for typed, said in about.examples.items()
        ]
        parts.append("\n".join(["| example | does |", "|---|---|", *rows]))
    own_ends = {one: text for one, text in about.ends.items() if ENDS.get(one) != text}
    return [*parts, "Exit status:\n\n" + _ends(own_ends)] if own_ends else parts


def _ends(ends: Mapping[int, str]) -> str:
    return "\n".join(f"- {status}: {ends[status]}" for status in sorted(ends))


def _table(arguments: dict[str, Argument]) -> str:
    rows = [
        f"| {_flags(one)} | {cell(one.help or '')} | {_default(one)} |"
        for one in _sorted(arguments)
    ]
    return "\n".join(["| option | meaning | default |", "|---|---|---|", *rows])


def _sorted(arguments: dict[str, Argument]) -> list[Argument]:
    return sorted(arguments.values(), key=lambda one: str(one.name))


def _flags(argument: Argument) -> str:
    names = sorted(argument.names, key=len, reverse=True)
    shown = ", ".join(f"--{n.replace('_', '-')}" if len(n) > 1 else f"-{n}" for n in names)
    return code(shown + (f" {_value(argument)}" if argument.takes_value else ""))


def _value(argument: Argument) -> str:
    name = str(argument.name).replace("-", "_")
    value = VALUES.get(name, "N" if argument.kind is int else "TEXT")
    return value.replace("|", " or ")  # a bar ends the cell of a table


def _default(argument: Argument) -> str:
    value = argument.default
    return "" if value in (None, "", False, -1) or value == [] else code(str(value))
