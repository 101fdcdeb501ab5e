"""Work on several hosts side by side, in threads that an interrupt can end or leave behind."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

R = TypeVar("R", covariant=True)

#: Seconds that hosts are given to let go after an interrupt. A step has five to end by itself.
LETTING_GO = 8.0

#: Seconds that remain for a host that has nothing to let go of, such as one being connected to.
LEAVING = 1.0

#: Seconds after which an interrupt is seen that came when CPython (3.10 to 3.13) had looked for
#: one and did not wait yet: it ends no wait that begins after it.
_TICK = 0.5


class Turn(Protocol[R]):
    """One host's work."""

    name: str

    def run(self) -> R:
        """Do it; what goes wrong on the host is part of the result."""

    def interrupt(self) -> None:
        """Let go of the host; ``run`` then raises. Called from another thread."""


_Said = tuple[Turn[R], R | None, BaseException | None]


class _Worker(Generic[R]):
    """A thread that takes turn after turn."""

    def __init__(self, side: SideBySide[R]) -> None:
        self._side = side
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while (turn := self._side.take()) is not None:
            self._side.said.put(_outcome(turn))
        self._side.said.put(None)


def _outcome(turn: Turn[R]) -> _Said[R]:
    try:
        return turn, turn.run(), None
    except BaseException as error:  # for the thread that waits to raise
        return turn, None, error


class SideBySide(Generic[R]):
    """Runs turns in order, so many at a time.

    The threads are daemons: a host that does not answer keeps nobody from leaving.

    Args:
        forks: turns at the same time, at most.
        may_begin: asked before each turn; once it says no, no further one begins.
        interrupted: told, on an interrupt, the names of the hosts that are now let go.
    """

    def __init__(
        self,
        turns: Sequence[Turn[R]],
        forks: int,
        may_begin: Callable[[], bool] = lambda: True,
        interrupted: Callable[[Sequence[str]], None] = lambda _: None,
    ) -> None:
        self.said: queue.SimpleQueue[_Said[R] | None] = queue.SimpleQueue()
        self._waiting = list(reversed(turns))
        self._running: list[Turn[R]] = []
        self._lock = threading.Lock()
        self._may_begin = may_begin
        self._interrupted = interrupted
        self._workers = max(1, min(forks, len(turns)))

    def run(self) -> list[R]:
        """The results, in the order in which they came; turns that never began have none.

        Raises:
            KeyboardInterrupt: after every host was let go, or at once after a second one.
            BaseException: what a turn raised, after every other was let go.
        """
        results: list[R] = []
        for _ in range(self._workers):
            _Worker(self)
        try:
            while self._workers:
                results += self._next()
        except KeyboardInterrupt:
            self._interrupted([turn.name for turn in self._stop()])
            self._let_go()
            raise
        except BaseException:
            self._stop()
            self._let_go()
            raise
        return results

    def take(self) -> Turn[R] | None:
        """The next turn, for a worker; None when there is none, or none may begin."""
        with self._lock:
            if not self._waiting or not self._may_begin():
                return None
            turn = self._waiting.pop()
            self._running.append(turn)
            return turn

    def _next(self, timeout: float | None = None) -> list[R]:
        said = self._hear() if timeout is None else self.said.get(timeout=timeout)
        if said is None:
            self._workers -= 1
            return []
        turn, result, error = said
        with self._lock:
            self._running.remove(turn)
        if error is not None:
            raise error
        assert result is not None
        return [result]

    def _hear(self) -> _Said[R] | None:
        """Wait for what comes next; an interrupt comes through."""
        while True:
            with suppress(queue.Empty):
                return self.said.get(timeout=_TICK)

    def _stop(self) -> list[Turn[R]]:
        """Begin no further turn; the turns that have begun and are not over."""
        with self._lock:
            self._waiting.clear()
            return list(self._running)

    def _let_go(self) -> None:
        """Interrupt all at the same time: each may take some seconds."""
        threads = [
            threading.Thread(target=turn.interrupt, daemon=True) for turn in list(self._running)
        ]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + LETTING_GO
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        deadline = time.monotonic() + LEAVING
        while self._workers and (left := deadline - time.monotonic()) > 0:
            with suppress(queue.Empty, Exception):  # what an interrupted turn says is no news
                self._next(left)
