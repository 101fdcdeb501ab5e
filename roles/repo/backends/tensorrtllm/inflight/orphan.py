"""Ends this process when the server that started it is gone.

A server that is killed, or gives up waiting for requests in flight, can leave the process of a
python model behind, with its memory. A thread cannot watch for that: a server that dies within the
shared memory may leave a lock there that is never given back, and whoever waits for it can keep
Python from running. So a shell watches from outside. The models of the repository use this too.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_WATCH = """
while read -r _ _ _ parent _ <"/proc/$1/stat"; do
    if [ "$parent" != "$2" ]; then
        kill -9 "$1"
        [ -z "$3" ] || rm -f "/dev/shm/$3"
        exit
    fi
    sleep 1
done
"""
"""Of /proc/PID/stat, the fourth field is the parent; it changes when that dies."""


def end_with_parent() -> None:
    """From now on this process is killed within about a second of its parent's end."""
    arguments = [str(os.getpid()), str(os.getppid()), _shared_memory()]
    subprocess.Popen(
        ["/bin/sh", "-c", _WATCH, "orphan-watch", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _shared_memory() -> str:
    """The shared memory that the server has made for this process; empty if it is not known."""
    arguments = Path("/proc/self/cmdline").read_bytes().split(b"\0")
    for argument in arguments:
        name = os.fsdecode(argument)
        if name.startswith("triton_") and "_backend_shm_region_" in name and "/" not in name:
            return name
    return ""
