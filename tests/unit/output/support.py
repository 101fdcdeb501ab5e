"""Event sequences, and what each listener writes for them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from pathlib import Path

from rolecall.events import (
    Event,
    HostDone,
    HostStarted,
    Listener,
    ResourceDone,
    RunStarted,
    Stream,
)
from rolecall.output.console import ConsoleListener
from rolecall.output.plain import Plain
from rolecall.output.screen import screen
from rolecall.resource import Change

HOST = "localhost"
DIGEST = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4
MODE = Change("mode", "644", "600")


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class EncodedText(io.StringIO):
    """A text stream that only takes what its encoding can carry, as a real one does."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def write(self, text: str) -> int:
        text.encode(self._encoding)
        return super().write(text)


def started(*hosts: str, check: bool = False) -> RunStarted:
    return RunStarted("", "20261122-120000-abcd", "deploy", check, hosts or (HOST,))


def ok(id_: str, role: str = "system", host: str = HOST) -> ResourceDone:
    return ResourceDone(host, role, id_, "ok")


def changed(id_: str, *changes: Change, role: str = "system", host: str = HOST) -> ResourceDone:
    return ResourceDone(host, role, id_, "changed", changes or (MODE,))


def failed(id_: str, reason: str, hint: str = "", host: str = HOST) -> ResourceDone:
    return ResourceDone(host, "server", id_, "failed", (), reason, hint)


def skipped(id_: str, reason: str, role: str = "server", host: str = HOST) -> ResourceDone:
    return ResourceDone(host, role, id_, "skipped", reason=reason)


def over(host: str = HOST, exchanges: int = 1, error: str = "", hint: str = "") -> HostDone:
    return HostDone(host, exchanges, 0.5, error, hint)


def run_of(*events: Event, check: bool = False) -> list[Event]:
    """A whole run on one host around ``events``."""
    return [started(check=check), HostStarted(HOST, len(events)), *events, over()]


def feed(listener: Listener, events: Iterable[Event]) -> None:
    stream = Stream([listener])
    for event in events:
        stream.emit(event)
    stream.finish()


def plain(events: Iterable[Event], verbosity: int = 0, encoding: str = "utf-8") -> list[str]:
    """The lines of the plain listener."""
    out = EncodedText(encoding)
    feed(Plain(out, verbosity, Clock()), events)
    return out.getvalue().splitlines()


def console(
    events: Iterable[Event],
    verbosity: int = 0,
    *,
    width: int = 100,
    encoding: str = "utf-8",
    log: Path | None = None,
) -> tuple[list[str], str]:
    """What the console listener writes: lines without colour, and all of it raw."""
    out = EncodedText(encoding)
    feed(ConsoleListener(screen(out, width), verbosity, log, Clock()), events)
    return shown_on_screen(out.getvalue()), out.getvalue()


def shown_on_screen(raw: str) -> list[str]:
    """The lines a terminal of endless height shows: colours gone, redrawn lines as they end."""
    rows, row = [""], 0
    for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\n|[^\x1b\r\n]+", raw):
        if token == "\n":
            row += 1
            rows += [""] * (row == len(rows))
        elif not token.startswith("\x1b"):
            rows[row] += token
        elif token.endswith("A"):
            row = max(0, row - int(token[2:-1] or 1))
        elif token.endswith("K"):
            rows[row] = ""
    return [line.rstrip() for line in rows]
