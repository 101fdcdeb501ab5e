"""What a command need not wait for: starting and ending are most of a run without changes."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

#: Objects made before the collector looks for cycles: importing makes many, and hardly garbage.
_COLLECT_AFTER = 200_000


class _Mock:
    """Becomes ``unittest.mock.Mock`` when one is made."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        from unittest.mock import Mock

        return Mock(*args, **kwargs)


def whole_streams() -> None:
    """Where a standard stream was closed (``>&-``), give the program one that leads nowhere.

    Python has None in its place, and the next file to be opened would get its number.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            with suppress(OSError):
                os.close(number)
            nowhere = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            setattr(sys, name, os.fdopen(nowhere, "w" if number else "r"))


def is_disk_full(error: BaseException) -> bool:
    """Whether what this machine could not write found no space, or was over a quota."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def run(program: Any) -> None:
    """Run ``./inv`` or ``./fab``, whose output may find no reader and no space.

    Raises:
        SystemExit: with the status 141 as of a program whose reader went away, or 1.
    """
    try:
        program.run()
    except BrokenPipeError:
        from rolecall.output import pipe_closed

        sys.exit(pipe_closed())
    except OSError as error:
        if not is_disk_full(error):
            raise
        from rolecall.output import pipe_closed

        what = error.filename or "what this command writes"
        print(f"error: {error.strerror} on this machine, for {what}", file=sys.stderr)
        print("  next: free some, and run the same command again", file=sys.stderr)
        pipe_closed()
        sys.exit(1)


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import without what only tests use.

    invoke (2.2) imports ``unittest.mock``, and so asyncio, for its ``MockContext``: a quarter of
    the time that ``import invoke`` takes.
    """
    gc.set_threshold(_COLLECT_AFTER, 20, 20)
    _no_plugins()
    name = "unittest.mock"
    if name in sys.modules:
        yield
        return
    stand_in = ModuleType(name)
    stand_in.Mock = _Mock  # type: ignore[attr-defined]
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        del sys.modules[name]


def _no_plugins() -> None:
    """Keep pydantic (2.9 to 2.14) from reading the metadata of every package for plugins of its.

    There are none: the environment has the packages of the lock file.
    """
    stand_in = ModuleType("pydantic.plugin._loader")
    stand_in.get_plugins = tuple  # type: ignore[attr-defined]
    sys.modules.setdefault(stand_in.__name__, stand_in)


def hear_term() -> None:
    """As process 1, which is a container's command, take TERM as any program takes Ctrl-C.

    The kernel keeps from process 1 every signal that it has not asked for, so a stop would be
    heard of only when the container is killed. ``exec`` makes it what it was.
    """
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def quick_exit() -> Iterator[None]:
    """Leave as soon as all is said and done, without taking the interpreter apart.

    Threads are waited for and exit functions run as ever; only what comes behind them, freeing
    every object one by one, is left to the system. An interrupt or a defect ends as ever.
    """
    status: int | None = None

    def leave() -> None:  # registered first, so it runs last
        if status is None:
            return
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except (OSError, ValueError):
            return
        os._exit(status)

    atexit.register(leave)
    try:
        yield
        status = 0
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            status = error.code or 0
        raise
