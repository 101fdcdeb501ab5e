"""Ends this process when the server that started it is gone.

A server that is killed, or gives up waiting for requests in flight, can leave the process of a
python model behind, with its memory: Triton 2.51's own check does not run while the process waits
for an answer from the server. The models of the repository use this module too.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

_INTERVAL_S = 0.5
_STUCK_S = 300
"""For how long Python may stand still (a step of the engine included) before the kernel ends it.

A server that dies within its shared memory can leave a lock there that is never given back.
"""

_SHARED_MEMORY = Path("/dev/shm")


def end_with_parent() -> None:
    """Watch the parent process from a thread of its own, for as long as this process lives."""
    parent = os.getppid()
    threading.Thread(target=_watch, args=(parent,), name="orphan-watch", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        signal.alarm(_STUCK_S)
        time.sleep(_INTERVAL_S)
    _remove_shared_memory()
    os._exit(1)


def _remove_shared_memory() -> None:
    """Remove the shared memory that the server made for this process and can no longer remove."""
    arguments = Path("/proc/self/cmdline").read_bytes().split(b"\0")
    for argument in arguments:
        name = os.fsdecode(argument)
        if name.startswith("triton_") and "_backend_shm_region_" in name and "/" not in name:
            (_SHARED_MEMORY / name).unlink(missing_ok=True)
