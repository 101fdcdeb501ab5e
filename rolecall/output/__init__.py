"""What a run shows: the console, plain lines or JSON lines, and the log that is always kept.

Start-up counts: rich is imported only where a terminal is written to.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, TextIO

from rolecall.events import Listener

Mode = Literal["auto", "plain", "json"]
Form = Literal["console", "plain", "json"]

#: The exit status of a program whose reader went away: 128 + SIGPIPE, as a shell reports it.
PIPE_CLOSED = 141


def form(mode: Mode, out: TextIO | None = None, environ: Mapping[str, str] | None = None) -> Form:
    """How to write to ``out``: ``auto`` is the console on a terminal that can, else plain.

    ``NO_COLOR`` (not empty, as no-color.org has it) and ``TERM=dumb`` or none ask for plain.
    """
    if mode != "auto":
        return mode
    environ = os.environ if environ is None else environ
    able = environ.get("TERM", "dumb") not in ("", "dumb", "unknown")
    terminal = (out or sys.stdout).isatty()
    return "console" if terminal and able and not environ.get("NO_COLOR") else "plain"


def listeners(
    mode: Mode,
    verbosity: int,
    runs: Path,
    run_id: str,
    keep: int = 0,
    *,
    out: TextIO | None = None,
    environ: Mapping[str, str] | None = None,
) -> list[Listener]:
    """The listeners of a run: its log in folder ``runs`` first, then what the user sees.

    ``keep`` is how many logs stay in that folder; 0: all.

    The log comes first so that it has every event, also the one at which a reader went away.
    """
    from rolecall.output.runlog import RunLog

    out = out or sys.stdout
    log = RunLog(runs, run_id, keep)
    match form(mode, out, environ):
        case "json":
            from rolecall.output.jsonl import JsonLines

            return [log, JsonLines(out)]
        case "plain":
            from rolecall.output.plain import Plain

            return [log, Plain(out, verbosity)]
        case "console":
            from rolecall.output.console import ConsoleListener
            from rolecall.output.screen import screen

            return [log, ConsoleListener(screen(out), verbosity, log.path)]


def pipe_closed() -> int:
    """After a ``BrokenPipeError``: make the end quiet, and return the exit status.

    What is still buffered goes nowhere, so that the interpreter does not complain about it.
    """
    sink = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            if _is_broken(stream):
                os.dup2(sink, stream.fileno())
    os.close(sink)
    return PIPE_CLOSED


def _is_broken(stream: TextIO) -> bool:
    try:
        stream.flush()
    except BrokenPipeError:
        return True
    return False
