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
_SHARED_MEMORY = Path("/dev/shm")


def end_with_parent(stuck_s: int = 10) -> None:
    """Watch the parent process from a thread of its own, for as long as this process lives.

    A server that dies within the shared memory can leave a lock there that is never given back,
    and a thread that waits for it keeps Python from running. So an alarm is set again and again:
    if Python stands still for ``stuck_s`` seconds, the kernel ends the process. That must be more
    than anything the process does at a stretch.
    """
    parent = os.getppid()
    arguments = (parent, stuck_s)
    threading.Thread(target=_watch, args=arguments, name="orphan-watch", daemon=True).start()


def _watch(parent: int, stuck_s: int) -> None:
    while os.getppid() == parent:
        signal.alarm(stuck_s)
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
