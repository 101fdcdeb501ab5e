"""The shell texts of a service: what its probe runs, and the supervisor that lives on the host."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from rolecall import loop
from rolecall.loop.scripts import IDENTITY
from rolecall.resource import ShellFunction

_HERE = Path(__file__).parent


def borrowed(prelude: str, name: str) -> str:
    """The definition of the shell function ``name`` in ``prelude``.

    Raises:
        ValueError: the prelude defines no such function.
    """
    start = prelude.index(f"\n{name}() {{\n") + 1
    return prelude[start : prelude.index("\n}\n", start) + 3]


@lru_cache(maxsize=1)
def supervisor() -> str:
    """The supervisor's whole text; it needs a POSIX shell and coreutils or busybox.

    It outlives every session, and so brings along what it needs of a session's prelude.
    """
    prelude = (Path(str(loop.__file__)).parent / "prelude.sh").read_text()
    parts = ["#!/bin/sh\nrc_nl='\n'", IDENTITY, borrowed(prelude, "rc_escape")]
    return "\n".join([*parts, _text("common.sh"), _text("supervise.sh")])


@lru_cache(maxsize=1)
def supervisor_digest() -> str:
    """A short digest of the supervisor: a service started by another one is restarted."""
    return hashlib.sha256(supervisor().encode()).hexdigest()[:12]


@lru_cache(maxsize=1)
def probe_function() -> ShellFunction:
    """The function that answers a service's probe."""
    return ShellFunction("rc_service", f"{_text('common.sh')}\n{_text('probe.sh')}", arity=0)


@lru_cache(maxsize=1)
def rollback_function() -> ShellFunction:
    """The function that answers the probe of a rollback."""
    return ShellFunction("rc_rollback", f"{_text('common.sh')}\n{_text('probe.sh')}", arity=2)


def _text(name: str) -> str:
    return (_HERE / name).read_text()
