"""The host's lock, seen from the controller: who holds it, in a sentence, and who is gone.

The lock itself is taken and given up by the host's shell (loop/prelude.sh), and lives exactly
as long as that shell does. The shell ends when it has not heard of its controller for too long
(see :class:`rolecall.targets.Pulse`); a controller that knows that the run is dead need not wait.
"""

from __future__ import annotations

import getpass
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

from rolecall.errors import LockedError

#: Seconds between two looks at a lock that is waited for.
LOCK_POLL = 1.0

#: Seconds that the shell of a dead run is given to let go, when it runs no step.
RELEASE = 6.0

#: Stands for a controller that cannot name its process beyond the reuse of its number.
_NAMELESS = "-"


@dataclass(frozen=True)
class LockHolder:
    """The content of a lock.

    Attributes:
        identity: of the shell on the host: boot id, pid, start time.
        since: when it was taken, by the host's clock.
        run: the run's id.
        controller: the process that runs it: boot id, pid namespace, pid, start time.
        who: the person, and the controller's host name.
    """

    identity: str
    since: float
    run: str
    controller: str
    who: str

    @classmethod
    def parse(cls, text: str) -> LockHolder | None:
        """Read a lock's content; None when there is none or it is not ours."""
        words = text.strip().split(" ", 4)
        if len(words) != 5 or not words[1].isdigit():
            return None
        return cls(words[0], float(words[1]), words[2], words[3], words[4])

    @property
    def is_dead(self) -> bool:
        """Whether its controller is known to be gone: a process of this very machine and user.

        Of a process elsewhere, or in another container, nothing is known.
        """
        mine, place = _controller(os.getpid()), self.controller.rpartition(":")[0]
        space, _, pid = place.rpartition(":")
        if self.who != person() or mine == _NAMELESS or not pid.isdigit():
            return False
        return mine.startswith(f"{space}:") and _controller(int(pid)) != self.controller


def signature() -> str:
    """What a lock says of the run that takes it: its controller's process and the person."""
    return f"{_controller(os.getpid())} {person()}"


def locked_error(host: str, text: str) -> LockedError:
    """The error that tells who holds ``host``'s lock, given the lock's content."""
    holder = LockHolder.parse(text)
    if holder is None:
        return LockedError(f"{host} is locked by another run", "try again when it is over")
    age = max(0, int(time.time() - holder.since))
    since = time.strftime("%H:%M:%S", time.localtime(holder.since))
    held = f"{host} is locked by {holder.who}: run {holder.run}, since {since} ({age} s ago)"
    if holder.is_dead:
        return LockedError(
            f"{held}; that run is dead, but a step that it began is still running there",
            "let this run wait until the step is over: --lock-wait 10m",
        )
    return LockedError(held, "wait for it, or let this run wait: --lock-wait 10m")


def _controller(pid: int) -> str:
    """Name a process of this machine beyond the reuse of its number; ``-`` if there is none.

    Linux gives a process's start time in field 22 of /proc/PID/stat, behind the name in
    parentheses. Containers share a boot id, so its pid namespace belongs to the name.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return _NAMELESS
    return _NAMELESS if state in "ZX" else f"{boot}:{space}:{pid}:{rest[18]}"


def person() -> str:
    """Who runs this, as ``USER@MACHINE``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{platform.node()}"
