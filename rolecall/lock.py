"""The host's lock, seen from the controller: who holds it, in a sentence.

The lock itself is taken and given up by the host's shell (loop/prelude.sh), and lives exactly
as long as that shell does.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from rolecall.errors import LockedError

#: Seconds between two looks at a lock that is waited for.
LOCK_POLL = 1.0


@dataclass(frozen=True)
class LockHolder:
    """The content of a lock: a process (boot id, pid, start time), a time, a run, a person."""

    identity: str
    since: float
    run: str
    who: str

    @classmethod
    def parse(cls, text: str) -> LockHolder | None:
        """Read a lock's content; None when there is none or it is not ours."""
        words = text.strip().split(" ", 3)
        if len(words) != 4 or not words[1].isdigit():
            return None
        return cls(words[0], float(words[1]), words[2], words[3])


def locked_error(host: str, text: str) -> LockedError:
    """The error that tells who holds ``host``'s lock, given the lock's content."""
    holder = LockHolder.parse(text)
    if holder is None:
        return LockedError(f"{host} is locked by another run", "try again when it is over")
    age = max(0, int(time.time() - holder.since))
    since = time.strftime("%H:%M:%S", time.localtime(holder.since))
    return LockedError(
        f"{host} is locked by {holder.who}: run {holder.run}, since {since} ({age} s ago)",
        "wait for it, or let this run wait: --lock-wait 10m",
    )
