"""Tells how far a fetch is, by the sizes of what lies on the disk."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_EVERY = 0.5


def say(text: str) -> None:
    """One line for the user, at once."""
    print(text, flush=True)


@contextmanager
def shown(label: str, total: int, done: Callable[[], int]) -> Iterator[None]:
    """Report ``done()`` of ``total`` bytes twice a second as long as the block runs."""
    over = threading.Event()

    def report() -> None:
        said = -1
        while True:
            now = min(done(), total)
            if now != said:
                state = {"done": now, "total": total, "unit": "B", "label": label}
                say(f"::progress {json.dumps(state)}")
                said = now
            if over.wait(_EVERY):
                return

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
