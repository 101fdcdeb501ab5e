"""One shell on one target for the length of a run, and the frames it answers in.

Every exchange is one round trip: a script goes in, frames come back. The session counts them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from rolecall.errors import UnreachableError
from rolecall.shell import decode, encode
from rolecall.sudo import sudo_error
from rolecall.targets import Channel, Target


@dataclass(frozen=True)
class Frame:
    """The start of a part of an answer, such as ``after 3 0``."""

    kind: str
    args: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """One line of the payload of the frame before it, without its newline."""

    text: str


class Session:
    """Exchanges scripts for frames with one shell.

    Attributes:
        mark: the random word in front of every frame of this session.
        exchanges: round trips so far.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.mark = f"@@{secrets.token_hex(12)}"
        self.exchanges = 0
        self._channel: Channel = target.open_shell()
        self._preamble: list[str] = []
        self._known: set[str] = set()
        self._buffer = b""

    def tell(self, text: str) -> None:
        """Prefix the next exchange with ``text``: definitions, each sent once a session."""
        if text and text not in self._known:
            self._known.add(text)
            self._preamble.append(text)

    def exchange(self, script: str) -> Iterator[Frame | Line]:
        """Run ``script`` and yield what it answers, as it arrives.

        The script is parsed whole before its first command runs, and nothing in it can read
        the session's input.

        Raises:
            UnreachableError: the shell ended before the script did.
            SudoError: the script needs root, which the host refuses; it did nothing.
        """
        self.exchanges += 1
        preamble = "\n".join(self._preamble)
        self._preamble.clear()
        text = f"{preamble}\nrc_main() {{\n:\n{script}\n}}\nrc_main </dev/null\nrc_frame end\n"
        self._channel.write(encode(text))
        refusal: list[str] | None = None
        for item in self._answer():
            if isinstance(item, Frame) and item.kind == "become":
                refusal = []
            elif refusal is None:
                yield item
            elif isinstance(item, Line):
                refusal.append(item.text)
        if refusal is not None:
            raise sudo_error(self.target.name, refusal)

    def _answer(self) -> Iterator[Frame | Line]:
        mark = encode(self.mark) + b" "
        blank = False
        framed = False
        unframed: list[str] = []
        for raw in self._lines():
            if raw.startswith(mark):
                blank = False
                framed = True
                kind, *args = decode(raw[len(mark) :]).split(" ")
                if kind == "ping":  # only to find out whether anybody reads
                    continue
                if kind == "end":
                    return
                yield Frame(kind, tuple(args))
                continue
            if blank:
                yield Line("")
            blank = raw == b""
            if not blank:
                if not framed:  # the shell's own words, such as a syntax error in the script
                    unframed = [*unframed[-2:], decode(raw)]
                yield Line(decode(raw))
        said = f": {'; '.join(unframed)}" if unframed else ""
        raise UnreachableError(
            f"the shell on {self.target.name} ended in the middle of an exchange{said}",
            "run the same command again: it goes on from the state it finds",
        )

    def _lines(self) -> Iterator[bytes]:
        while True:
            line, newline, rest = self._buffer.partition(b"\n")
            if newline:
                self._buffer = rest
                yield line
                continue
            data = self._channel.read()
            if not data:
                return
            self._buffer += data

    def close(self) -> None:
        """End the shell, which gives up its lock."""
        self._channel.close()

    def interrupt(self) -> None:
        """End the shell and whatever step it runs; detached jobs go on."""
        self._channel.interrupt()
