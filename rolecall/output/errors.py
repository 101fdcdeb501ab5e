"""Errors as the user sees them, and tracebacks as the log keeps them."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from rolecall.errors import RolecallError, place, unforeseen
from rolecall.output import form
from rolecall.output.jsonl import stamped
from rolecall.output.text import Charset

#: A line of an error that is longer than this is data rather than a message.
_LONGEST = 600

MASK = "********"


def present(
    error: RolecallError,
    *,
    json: bool = False,
    out: TextIO | None = None,
    err: TextIO | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Tell the user what was wrong and what to do next, without a traceback.

    Two kinds of line on standard error, ``error: MESSAGE`` and ``next: HINT``, in colour on a
    terminal that can; with ``json`` one event on standard output. A reader that went away is no
    reason to fail.
    """
    stream = (out or sys.stdout) if json else (err or sys.stderr)
    if json:
        data = {"event": "error", "message": error.message, "hint": error.hint}
        text = stamped(data) + "\n"
    else:
        colour = form("auto", stream, environ) == "console"
        text = _part("error: ", error.message, "1;31" if colour else "", stream)
        if error.hint:
            text += _part("  next: ", error.hint, "1;36" if colour else "", stream)
    with suppress(BrokenPipeError):
        stream.write(text)
        stream.flush()


def _part(label: str, text: str, colour: str, stream: TextIO) -> str:
    charset = Charset.of(stream.encoding)
    lines = [charset.clip(line, _LONGEST) for line in charset.lines(text.strip("\n"))]
    body = f"\n{' ' * len(label)}".join(lines)
    return f"\x1b[{colour}m{label}\x1b[0m{body}\n" if colour else f"{label}{body}\n"


def log_traceback(
    error: BaseException,
    folder: Path,
    *,
    secrets: Iterable[str] = (),
    json: bool = False,
    err: TextIO | None = None,
) -> None:
    """Keep an unexpected exception's traceback in a file and tell the user where it is.

    Code of the project is named with its line; all else is a defect of Rolecall. The file,
    ``FOLDER/crash-TIME.txt``, is for this user alone. A traceback shows lines of code
    and messages, no values of variables; ``secrets`` are masked in the messages.
    """
    text = masked("".join(traceback.format_exception(error)), secrets)
    path = folder / time.strftime("crash-%Y%m%d-%H%M%S.txt")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o600), "w", errors="backslashreplace") as file:
            file.write(text)
    except OSError as trouble:
        kept = f"its traceback could not be kept: {trouble.strerror}"
    else:
        kept = f"its traceback is in {path}"
    where = place(error)
    advice = f"mend {where}" if where else "this is a defect of Rolecall"
    defect = RolecallError(masked(unforeseen(error), secrets), f"{advice}; {kept}")
    present(defect, json=json, err=err)


def masked(text: str, secrets: Iterable[str]) -> str:
    """``text`` without the secrets, the longest first: one may hold another."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text
