"""Many hosts in few words: names folded to ranges, texts that differ only in the host's name."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Hosts up to which each is shown by itself; more are a fleet, whose hosts are told together.
FEW = 4

#: Names and ranges that a folded list has before it only counts.
PIECES = 6

#: Stands for the name of the host in a text that many hosts share.
PLACEHOLDER = "{host}"

_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)")


def is_fleet(hosts: int) -> bool:
    """Whether a run on so many hosts tells of them together."""
    return hosts > FEW


def fold(names: Iterable[str], pieces: int = PIECES) -> str:
    """Such as ``db, gpu-[01:34]``: consecutive numbers become a range, as an inventory has it.

    Of more than ``pieces`` pieces the rest is counted.
    """
    folded: list[tuple[str, int]] = []
    run: list[tuple[str, ...]] = []
    for name in names:
        match = _NUMBERED.fullmatch(name)
        parts = match.groups() if match else None
        if parts and run and _follows(run[-1], parts):
            run.append(parts)
            continue
        folded += _piece(run)
        run = [parts] if parts else []
        if not parts:
            folded.append((name, 1))
    folded += _piece(run)
    shown = [text for text, _ in folded[:pieces]]
    if rest := sum(size for _, size in folded[pieces:]):
        shown.append(f"{rest} more")
    return ", ".join(shown)


def _follows(last: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    return (
        (last[0], last[2]) == (parts[0], parts[2])
        and len(last[1]) <= len(parts[1])
        and (len(last[1]) == len(parts[1]) or parts[1][0] != "0")
        and int(parts[1]) == int(last[1]) + 1
    )


def _piece(run: list[tuple[str, ...]]) -> list[tuple[str, int]]:
    if len(run) < 3:
        return [("".join(parts), 1) for parts in run]
    (head, first, tail), last = run[0], run[-1][1]
    return [(f"{head}[{first}:{last}]{tail}", len(run))]


def without_host(text: str, host: str) -> str:
    """``text`` with the host's name, where it is a word of its own, as ``{host}``."""
    if host not in text:
        return text
    return re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w.-])", PLACEHOLDER, text)


def number_of(hosts: int, of: int) -> str:
    """Such as ``all 50 hosts``, ``48 hosts``, ``1 host``."""
    if hosts == of:
        return f"all {hosts} hosts"
    return f"{hosts} host{'' if hosts == 1 else 's'}"
