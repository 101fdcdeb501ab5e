"""One shell on one target for the length of a run, and the frames it answers in.

Every exchange is one round trip: a script goes in, frames come back. The session counts them.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass

from rolecall.errors import UnreachableError
from rolecall.shell import decode, encode
from rolecall.sudo import SudoError, SudoPassword, sudo_error
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


#: Hears of an exchange: its number, what it is for, and at its end the seconds it took.
Heard = Callable[[int, str, float | None], None]


class Session:
    """Exchanges scripts for frames with one shell.

    Attributes:
        mark: the random word in front of every frame of this session.
        exchanges: round trips so far.
    """

    def __init__(
        self,
        target: Target,
        password: SudoPassword | None = None,
        around: Callable[[], AbstractContextManager[object]] = nullcontext,
        heard: Heard = lambda *_: None,
    ) -> None:
        """Open the shell. ``password`` is told to a sudo that asks, asked for inside ``around``.

        ``heard`` hears of the begin and the end of every exchange.
        """
        self.target = target
        self._password = password
        self._around = around
        self._heard = heard
        self.mark = f"@@{secrets.token_hex(12)}"
        self.exchanges = 0
        self._shell: Future[Channel] = Future()
        threading.Thread(target=self._open, daemon=True).start()
        self._preamble: list[str] = []
        self._known: set[str] = set()
        self._buffer = b""
        self._pulse = target.pulse
        self._writing = threading.Lock()
        self._over = threading.Event()

    @property
    def patience(self) -> int:
        """Seconds without a sign of life after which the shell may end; 0: it always waits."""
        return self._pulse.patience if self._pulse else 0

    def _open(self) -> None:
        """Open the shell while the first script is being written."""
        try:
            self._shell.set_result(self.target.open_shell())
        except BaseException as error:
            self._shell.set_exception(error)

    @property
    def _channel(self) -> Channel:
        """The shell, once it is open. Raises what opening it raised."""
        return self._shell.result()

    def tell(self, text: str) -> None:
        """Prefix the next exchange with ``text``: definitions, each sent once a session."""
        if text and text not in self._known:
            self._known.add(text)
            self._preamble.append(text)

    def exchange(self, script: str, what: str = "ask") -> Iterator[Frame | Line]:
        """Run ``script`` and yield what it answers, as it arrives.

        The script is parsed whole before its first command runs, and nothing in it can read
        the session's input. ``what`` says what it is for, in a word.

        Raises:
            UnreachableError: there is no shell, or it ended before the script did.
            SudoError: the script needs root, which the host refuses; it did nothing.
        """
        channel = self._channel
        self.exchanges += 1
        number, began = self.exchanges, time.monotonic()
        self._heard(number, what, None)
        try:
            refusal = yield from self._exchange(channel, script)
        finally:
            self._heard(number, what, time.monotonic() - began)
        if refusal is not None:
            self._give_password(sudo_error(self.target.name, refusal))
            yield from self.exchange(script, what)  # the refused one has done nothing

    def _exchange(
        self, channel: Channel, script: str
    ) -> Generator[Frame | Line, None, list[str] | None]:
        """One exchange. Returns what the host said where it refuses root."""
        preamble = "\n".join(self._preamble)
        self._preamble.clear()
        # A shell that waits for a sign of life takes the first blank away (rc_wait in
        # loop/prelude.sh). The call is one line: the shell has read all of it before it acts.
        text = (
            f"  {preamble}\nrc_main() {{\n:\n{script}\n}}\n"
            "rc_main </dev/null; rc_frame end; rc_wait\n"
        )
        if self._pulse and self.exchanges == 2:  # a run that only looks holds no lock
            threading.Thread(target=self._live, args=(self._pulse.every,), daemon=True).start()
        with self._writing:
            channel.write(encode(text))
        refusal: list[str] | None = None
        for item in self._answer():
            if isinstance(item, Frame) and item.kind == "become":
                refusal = []
            elif refusal is None:
                yield item
            elif isinstance(item, Line):
                refusal.append(item.text)
        return refusal

    def _give_password(self, error: SudoError) -> None:
        """Tell the password, once, to a host whose sudo has just asked for one."""
        if not error.needs_password or self._password is None:
            raise error
        text = self._password.assignment(self._around)
        if text in self._known:
            raise error
        self.tell(text)

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

    def _live(self, every: float) -> None:
        """Send a sign of life from time to time; to a shell that reads, a tab means nothing."""
        with suppress(UnreachableError):  # the next exchange will say so
            while not self._over.wait(every):
                with self._writing:
                    self._channel.write(b"\t")

    def close(self) -> None:
        """End the shell, which gives up its lock."""
        self._over.set()
        if self._shell.exception() is None:
            self._channel.close()

    def interrupt(self) -> None:
        """End the shell and whatever step it runs; detached jobs go on."""
        self._over.set()
        self._shell.add_done_callback(_interrupt)


def _interrupt(shell: Future[Channel]) -> None:
    """End a shell that was opened; one that is still being opened, as soon as it is."""
    if shell.exception() is None:
        shell.result().interrupt()
