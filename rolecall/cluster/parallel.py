"""Requests side by side, in threads that keep nobody from leaving.

Those of ``concurrent.futures`` are waited for when the process ends: a server that does not
answer would hold on to whoever has interrupted the run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def parallel(function: Callable[[T], R], items: Iterable[T], most: int) -> list[R]:
    """``function`` of every item, ``most`` at a time, in the order of the items.

    All are done, then the first error is raised.
    """
    given = list(items)
    results: dict[int, R] = {}
    errors: dict[int, BaseException] = {}
    waiting = iter(range(len(given)))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                number = next(waiting, None)
            if number is None:
                return
            try:
                results[number] = function(given[number])
            except BaseException as error:  # for the thread that waits to raise
                errors[number] = error

    if len(given) == 1:
        work()
    else:
        threads = [threading.Thread(target=work, daemon=True) for _ in given[:most]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[min(errors)]
    return [results[number] for number in range(len(given))]
