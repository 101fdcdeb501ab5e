from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rolecall.output import Mode, form, listeners
from tests.unit.output.support import EncodedText

XTERM = {"TERM": "xterm-256color"}


class Terminal(EncodedText):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "chosen"),
    [
        (XTERM, "console"),
        ({**XTERM, "NO_COLOR": ""}, "console"),
        ({**XTERM, "NO_COLOR": "1"}, "plain"),
        ({"TERM": "dumb"}, "plain"),
        ({}, "plain"),
    ],
)
def test_a_terminal_gets_the_console_unless_it_cannot_or_should_not(
    environ: dict[str, str], chosen: str
) -> None:
    assert form("auto", Terminal(), environ) == chosen


def test_a_pipe_gets_plain_lines() -> None:
    assert form("auto", EncodedText(), XTERM) == "plain"


@pytest.mark.parametrize("mode", ["plain", "json"])
def test_what_is_asked_for_is_given_on_a_terminal_too(mode: Mode) -> None:
    assert form(mode, Terminal(), XTERM) == mode


def test_the_log_is_told_first(tmp_path: Path) -> None:
    wanted: list[tuple[Mode, EncodedText]] = [
        ("auto", Terminal()),
        ("auto", EncodedText()),
        ("json", EncodedText()),
    ]
    names = [
        [type(one).__name__ for one in listeners(mode, 0, tmp_path, "r", out=out, environ=XTERM)]
        for mode, out in wanted
    ]
    assert names == [["RunLog", "ConsoleListener"], ["RunLog", "Plain"], ["RunLog", "JsonLines"]]


def test_rich_is_imported_only_for_the_console() -> None:
    script = """
import io, sys
from pathlib import Path
from rolecall.output import listeners
import rolecall.output.errors
for mode in "auto", "json", "plain":
    listeners(mode, 0, Path("runs"), "r", out=io.StringIO())
assert not [name for name in sys.modules if name.split(".")[0] in {"rich", "asyncio"}]
"""
    subprocess.run([sys.executable, "-c", script], check=True)
