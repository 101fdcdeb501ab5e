"""Tab in a real bash, zsh and fish, each on a terminal of its own."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.cli.project import copy_project
from tests.integration.deployed import ROOT

#: Seconds after which a shell counts as hung.
PATIENCE = 60.0

_SETUP = {
    "bash": (
        ["--norc", "--noprofile", "-i"],
        "bind 'set completion-query-items 0'; bind 'set page-completions off'; "
        "bind 'set enable-bracketed-paste off'; bind 'set show-all-if-ambiguous on'; "
        'eval "$(./inv completion bash)"; '
        "args() { printf '<%s>' \"$@\"; printf '\\nover\\n'; }",
    ),
    "zsh": (
        ["-f", "-i"],
        "bindkey -e; unset zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; "
        'setopt no_beep; eval "$(./inv completion zsh)"; '
        "args() { printf '<%s>' \"$@\"; printf '\\nover\\n' }",
    ),
    "fish": (
        ["--no-config", "-i"],
        "./inv completion fish | source; "
        "function args; printf '<%s>' $argv; printf '\\nover\\n'; end",
    ),
}

#: The beginning of the line, a command in front of what was completed, and Return.
_SHOW = b"\x01args \r"


@dataclass
class Shell:
    """An interactive shell in a project."""

    name: str
    terminal: int
    pid: int
    shown: str = field(default="")

    def type(self, keys: bytes) -> None:
        os.write(self.terminal, keys)

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait until ``pattern`` shows in what came since it was last waited for."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if match := re.search(pattern, self.shown):
                self.shown = self.shown[match.end() :]
                return match
            if select.select([self.terminal], [], [], 0.5)[0]:
                data = os.read(self.terminal, 65536)
                if b"\x1b[c" in data:  # fish asks what terminal this is: a VT102
                    os.write(self.terminal, b"\x1b[?6c")
                if b"\x1b[6n" in data:  # and where its cursor is
                    os.write(self.terminal, b"\x1b[1;1R")
                self.shown += data.decode(errors="replace")
        raise AssertionError(f"{self.name}: {pattern} did not show: {self.shown!r}")

    def completed(self, typed: str) -> list[str]:
        """The words of the line after Tab."""
        self.type(typed.encode() + b"\t" + _SHOW)
        words = re.findall(r"<([^<>]*)>", self.expect(r"(?:<[^<>\n]*>)+\r?\nover\r?\n")[0])
        return [str(word) for word in words]

    def offered(self, typed: str, *words: str) -> None:
        """Tab shows every one of these words, in any order."""
        each = "".join(rf"(?=[\s\S]*(?<![\w-]){re.escape(word)}(?![\w-]))" for word in words)
        if self.name == "fish":  # a second Tab takes the first: it is asked what it would show
            self.type(f"complete -C '{typed}'; args done\r".encode())
        else:
            self.type(typed.encode() + b"\t\t")
        self.expect(rf"^{each}")
        self.type(b"" if self.name == "fish" else b"\x07\x15args done\r")
        self.expect(r"<done>\r?\nover\r?\n")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, with hosts to complete and runs to report."""
    made = copy_project(tmp_path_factory.mktemp("completion") / "project")
    for name in ("fab", "fabfile.py"):
        shutil.copy2(ROOT / name, made / name)
    (made / "inventory" / "hosts.yaml").write_text(
        "all: {children: {gpu: {hosts: {node-11: , node-12: }}, cpu: {hosts: {localhost: }}}}\n"
    )
    return made


@pytest.fixture(params=sorted(_SETUP), scope="module")
def shell(request: pytest.FixtureRequest, project: Path) -> Iterator[Shell]:
    name = request.param
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    arguments, setup = _SETUP[name]
    pid, terminal = pty.fork()
    if pid == 0:
        kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
        os.chdir(project)
        environment = {**kept, "HOME": str(project), "TERM": "dumb", "COLUMNS": "200"}
        os.execve(program, [program, *arguments], environment)
    made = Shell(name, terminal, pid)
    try:
        made.type(setup.encode() + b"\r")
        made.type(b"args ready\r")
        made.expect(r"<ready>\r?\nover\r?\n")
        yield made
    finally:
        os.close(terminal)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("./inv depl", ["./inv", "deploy"]),
        ("./inv deploy --hos", ["./inv", "deploy", "--hosts"]),
        ("./inv deploy --hosts node-12", ["./inv", "deploy", "--hosts", "node-12"]),
        ("./inv deploy --hosts loc", ["./inv", "deploy", "--hosts", "localhost"]),
        ("./inv deploy --hosts gpu,loc", ["./inv", "deploy", "--hosts", "gpu,localhost"]),
        ("./inv deploy --hosts gpu:loc", ["./inv", "deploy", "--hosts", "gpu:localhost"]),
        ("./inv deploy --hosts=loc", ["./inv", "deploy", "--hosts=localhost"]),
        ("./inv deploy --tags engine,sys", ["./inv", "deploy", "--tags", "engine,system"]),
        (
            "./inv deploy --set engine.max_ba",
            ["./inv", "deploy", "--set", "engine.max_batch_size="],
        ),
        ("./inv deploy --set engi", ["./inv", "deploy", "--set", "engine."]),
        ("./inv settings serv", ["./inv", "settings", "server"]),
        (
            "./inv plan --inventory inventory/ho",
            ["./inv", "plan", "--inventory", "inventory/hosts.yaml"],
        ),
        ("./fab -H node-11 pla", ["./fab", "-H", "node-11", "plan"]),
        ("./fab -H loc", ["./fab", "-H", "localhost"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_can_only_be_one_thing_is_completed(
    shell: Shell, typed: str, words: list[str]
) -> None:
    assert shell.completed(typed) == words


def test_what_can_be_several_things_is_offered(shell: Shell) -> None:
    shell.offered("./inv de", "deploy", "destroy")
    shell.offered("./inv deploy --hosts node-", "node-11", "node-12")
    shell.offered("./inv drift --", "--hosts", "--tags", "--json")


def test_a_program_found_by_path_is_completed_by_its_name(shell: Shell, project: Path) -> None:
    assert shell.completed(f"{project}/inv depl") == [f"{project}/inv", "deploy"]


def test_nothing_that_is_wrong_is_shown_on_the_line(shell: Shell) -> None:
    assert shell.completed("./inv deploy --inventory /nowhere --hosts x") == [
        "./inv",
        "deploy",
        "--inventory",
        "/nowhere",
        "--hosts",
        "x",
    ]
