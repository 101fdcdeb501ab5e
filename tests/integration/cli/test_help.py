"""``./inv --list``, ``--help`` and ``TASK --help``: complete, true and 80 columns wide."""

from __future__ import annotations

import re
import shlex

import invoke
import pytest

import tasks
from rolecall.cli.helping import WIDTH, About
from rolecall.cli.program import RolecallProgram, RolecallTask, name_positionals
from tests.integration.deployed import run_inv

NAMES = sorted(tasks.ns.task_names)


def task_of(name: str) -> RolecallTask:
    found = tasks.ns[name]
    assert isinstance(found, RolecallTask)
    return found


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """Every task's help."""
    found = {}
    for name in NAMES:
        done = run_inv(name, "--help")
        assert done.returncode == 0 and not done.stderr, name
        found[name] = done.stdout
    return found


def parse(line: str) -> None:
    """Parse what would stand behind ``./inv``, as the program does; raises where it is wrong."""
    words = shlex.split(line)
    contexts = tasks.ns.to_contexts()
    optional = {name: task_of(name).optional_positional for name in NAMES}
    named = name_positionals(words, contexts, {k: v for k, v in optional.items() if v})
    core = RolecallProgram(version="0").core_args()
    initial = invoke.parser.ParserContext(args=core)
    invoke.parser.Parser(contexts=contexts, initial=initial).parse_argv(named)


@pytest.mark.parametrize("name", NAMES)
def test_a_task_says_in_a_sentence_what_it_does(name: str) -> None:
    first = (tasks.ns[name].__doc__ or "").strip().split("\n")[0]
    assert re.fullmatch(r"[A-Z].*\.", first), first
    assert len(first.split()) >= 3


@pytest.mark.parametrize("name", NAMES)
def test_every_option_has_a_help_text(name: str) -> None:
    for argument in task_of(name).get_arguments():
        assert argument.help and len(argument.help.split()) > 1, (name, argument.name)
        assert argument.help.rstrip().endswith((".", ")")), (name, argument.name)


@pytest.mark.parametrize("name", NAMES)
def test_a_task_has_two_examples_that_are_accepted(name: str) -> None:
    about = task_of(name).about
    assert isinstance(about, About) and len(about.examples) >= 2, name
    for typed, said in about.examples.items():
        parse(f"{name} {typed}")
        assert said


def test_the_help_has_every_option_and_each_is_accepted(pages: dict[str, str]) -> None:
    for name, page in pages.items():
        options = page.partition("Options:")[2].partition("\nExit status:")[0]
        shown = set(re.findall(r"^  (?:-\w, )?(-{1,2}[\w-]+)", options, re.MULTILINE))
        shown |= set(re.findall(r"^  (-\w), --", options, re.MULTILINE))
        context = next(one for one in tasks.ns.to_contexts() if one.name == name)
        names = {one for argument in context.args.values() for one in argument.names}
        assert {flag.lstrip("-").replace("-", "_") for flag in shown} == {
            one.replace("-", "_") for one in names
        }, name
        for flag in sorted(shown):
            takes = context.flags[flag].takes_value
            parse(f"{name} {flag} 1" if takes else f"{name} {flag}")


def test_the_help_shows_defaults_examples_and_exit_statuses(pages: dict[str, str]) -> None:
    assert re.search(r"--forks=N +How many hosts at the same time\. Default: 10\.", pages["deploy"])
    for name, page in pages.items():
        assert page.startswith(f"Usage: ./inv {name}"), name
        assert page.count(f"\n  ./inv {name}") >= 2, name
        ends = page.partition("\nExit status:\n")[2]
        assert {"0", "1", "2", "130"} <= set(re.findall(r"^  (\d+) ", ends, re.MULTILINE)), name


def test_nothing_is_wider_than_eighty_columns(pages: dict[str, str]) -> None:
    shown = {**pages, "--list": run_inv("--list").stdout, "--help": run_inv("--help").stdout}
    wide = [line for page in shown.values() for line in page.splitlines() if len(line) > WIDTH]
    assert wide == []


def test_the_list_has_a_line_for_each_task() -> None:
    lines = run_inv("--list").stdout.splitlines()
    listed = re.findall(r"^  (\S+) +\S", "\n".join(lines), re.MULTILINE)
    assert sorted(listed) == NAMES
    assert len([line for line in lines if line.startswith("  ")]) == len(NAMES)


def test_the_programs_own_help_says_where_to_go_on() -> None:
    said = run_inv("--help").stdout
    assert "./inv --list shows the tasks" in said
    assert "--dry" not in said and "--version" in said
