"""Shell text for commands that look at a service without changing it. Pure functions."""

from __future__ import annotations

import posixpath

from rolecall.shell import quote


def status_script(directory: str) -> str:
    """Shell text that prints ``field=value`` lines about the service kept in ``directory``.

    Always ``state`` (running, restarting, unsupervised, leftover, stopped) and ``ready``; where
    known ``pid``, ``since`` (Unix time of the program's start), ``restarts``, ``last_exit``,
    ``last_at`` (Unix time of the last exit), ``log``, ``unit``, and what it was started from:
    ``command``, ``workdir``, ``env``, ``env.NAME``. Where it served something else before:
    ``previous`` (what names that start), ``previous.since`` (Unix time), ``previous.command``,
    and ``previous.missing``, a path without which it cannot go back. It needs no prelude.
    """
    program = quote(posixpath.join(directory, "supervise"))
    return (
        f"if [ -r {program} ]; then sh {program} status {quote(directory)}\n"
        "else printf 'state=stopped\\nready=no\\n'; fi"
    )


def logs_script(directory: str, lines: int = 50, *, follow: bool = False) -> str:
    """Shell text that prints the end of a service's log, and with ``follow`` what comes after."""
    log = quote(posixpath.join(directory, "log"))
    return f"tail -n {lines} {'-F ' if follow else ''}-- {log}"


def http_ready(url: str, python: str = "") -> str:
    """A ``ready`` test: ``url`` answers with success.

    It uses curl or wget, and for a host that has neither the interpreter at ``python``.
    """
    address = quote(url)
    fallback = "exit 1"
    if python:
        code = "import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=5).read()"
        fallback = f"{quote(python)} -I -c {quote(code)} {address}"
    return (
        f"if command -v curl; then curl -fsS -m 5 -o /dev/null {address}\n"
        f"elif command -v wget; then wget -q -T 5 -O /dev/null {address}\n"
        f"else {fallback}; fi"
    )
