"""What a source of models can do, and trying again where that may help."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from errors import TransientError
from listing import File, Listing
from progress import say

T = TypeVar("T")

#: The longest that a busy server is waited for, in seconds, when it says how long.
LONGEST_WAIT = 120


class Source(Protocol):
    """Where a model comes from."""

    def listing(self) -> Listing:
        """Every file of it, at one commit."""

    def at(self, commit: str) -> None:
        """Stay at a commit that was found before."""

    def check(self, file: File) -> None:
        """That the source really has ``file`` and lets it be read, before anything is fetched.

        Raises:
            MissingFileError: it has not.
        """

    def fetch(self, file: File, target: Path) -> None:
        """Bring ``file`` to ``target``; what has come so far lies in :func:`partial`."""


def partial(target: Path) -> Path:
    """Where an unfinished file lies, as the client of ModelScope names it too."""
    return target.with_name(f"{target.name}.incomplete")


@dataclass(frozen=True)
class Patience:
    """How often to try again what may pass: after ``first`` seconds, twice that, and so on."""

    first: float = 1.0
    attempts: int = 4

    def __call__(self, attempt: Callable[[], T], arrived: Callable[[], int] = lambda: 0) -> T:
        """Make the attempt again and again, and count anew whenever bytes have come.

        Raises:
            FetchError: what kept going wrong.
        """
        failed, had = 0, arrived()
        while True:
            try:
                return attempt()
            except TransientError as error:  # noqa: PERF203 - that is what the loop is for
                have = arrived()
                failed, had = (0, have) if have > had else (failed, had)
                if failed == self.attempts:
                    raise error.cause from error
                pause = self.first * 2**failed
                failed += 1
                say(f"{error.cause.message}: trying again in {pause:g} s")
                time.sleep(pause)
