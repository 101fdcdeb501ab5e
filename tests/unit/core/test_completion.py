"""Which words may come next on a command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest
from invoke.parser import Argument, ParserContext

from rolecall.cli.completion import FILES, SHELLS, script
from rolecall.cli.completion.words import Candidate, Grammar, complete, split

CORE = ParserContext(
    args=[
        Argument(names=("H", "hosts"), kind=str),
        Argument(names=("help", "h"), kind=str, optional=True),
        Argument(names=("echo", "e"), kind=bool),
    ]
)
TASKS = {
    "deploy": ParserContext(
        "deploy",
        args=[
            Argument(names=("hosts",), help="Which hosts. A pattern."),
            Argument(names=("set",), kind=list),
            Argument(names=("check",), kind=bool),
            Argument(names=("out",)),
        ],
    ),
    "destroy": ParserContext("destroy"),
    "settings": ParserContext("settings", args=[Argument(names=("role",))]),
}
GRAMMAR = Grammar(CORE, TASKS, {"deploy": "Converge"}, {"settings": "role"})


class Known:
    """Words for some options."""

    def of(self, name: str, typed: str, given: Mapping[str, str]) -> Iterable[Candidate] | None:
        if name == "out":
            return None
        words = {"hosts": ("gpu-1", "gpu-2"), "set": ("engine.",), "role": ("engine", "repo")}
        return [Candidate(word) for word in words.get(name, ())]


def words(line: str) -> list[str]:
    return [said.partition("\t")[0] for said in complete(split(line), GRAMMAR, Known())]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("./inv ", ["deploy", "destroy", "settings"]),
        ("./inv de", ["deploy", "destroy"]),
        ("FOO=1 /a/b/inv dep", ["deploy"]),
        ("./inv --e", ["--echo"]),
        ("./inv deploy --", ["--check", "--hosts", "--out", "--set", "--help"]),
        ("./inv deploy --check --", ["--hosts", "--out", "--set", "--help"]),
        ("./inv deploy --set a.b=1 --s", ["--set"]),
        ("./inv deploy ", ["--check", "--hosts", "--out", "--set", "--help"]),
        ("./inv deploy --hosts ", ["gpu-1", "gpu-2"]),
        ("./inv deploy --hosts gpu-2", ["gpu-2"]),
        ("./inv deploy --hosts=gpu-2", ["--hosts=gpu-2"]),
        ("./inv deploy --hosts gpu-1 de", ["deploy", "destroy"]),
        ("./inv deploy --out ", [FILES]),
        ("./inv deploy --out=", [FILES]),
        ("./inv settings ", ["engine", "repo"]),
        ("./inv settings en", ["engine"]),
        ("./inv settings engine des", ["destroy"]),
        ("./inv settings --role engine des", ["destroy"]),
        ("./inv --help dep", ["deploy"]),
        ("./fab -H gpu-1", ["gpu-1"]),
        ("./fab -H gpu-1 dep", ["deploy"]),
        ("./inv nonsense de", ["deploy", "destroy"]),
        ("./inv deploy 'gpu", []),
        ("./inv deploy --hosts 'gpu-1", ["gpu-1"]),
        ('./inv deploy --hosts "gpu-', ["gpu-1", "gpu-2"]),
        ("", ["deploy", "destroy", "settings"]),
    ],
)
def test_what_may_come_next(line: str, expected: list[str]) -> None:
    assert words(line) == expected


def test_a_candidate_is_told_with_its_first_sentence() -> None:
    assert list(complete(split("inv dep"), GRAMMAR, Known())) == ["deploy\tConverge"]
    assert next(complete(split("inv deploy --h"), GRAMMAR, Known())) == "--hosts\tWhich hosts"


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_a_script_that_says_how_it_is_used(shell: str) -> None:
    assert f"./inv completion {shell}" in script(shell)
