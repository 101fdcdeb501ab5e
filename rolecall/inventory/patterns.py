"""Host patterns, as ``--hosts`` takes them: which hosts of an inventory are meant."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from rolecall.errors import ConfigError
from rolecall.inventory.hostnames import is_address, split_port
from rolecall.inventory.model import LOCALHOST

if TYPE_CHECKING:
    from rolecall.inventory.model import Inventory

_PIECE = re.compile(r"(?:[^\s:\[\]]|\[[^\]]*\])+")
_SUBSCRIPT = re.compile(r"(.+)\[(?:(-?[0-9]+)|([0-9]+)[:-]([0-9]*))\]")


def match(inventory: Inventory, pattern: str) -> list[str]:
    """The hosts that ``pattern`` names, in the order of the pattern and of the inventory.

    A pattern that only takes away, such as ``!gpu``, starts from all hosts.

    Raises:
        ConfigError: the pattern is empty or malformed, or a plain name in it is neither a host
            nor a group.
    """
    pieces = split(inventory, pattern)
    add = [piece for piece in pieces if piece[0] not in "&!"]
    chosen: dict[str, None] = {}
    for piece in add or ["all"]:
        chosen.update(dict.fromkeys(_match(inventory, piece)))
    for piece in (piece for piece in pieces if piece[0] == "&"):
        kept = set(_match(inventory, piece[1:], signed=True))
        chosen = {host: None for host in chosen if host in kept}
    for piece in (piece for piece in pieces if piece[0] == "!"):
        gone = set(_match(inventory, piece[1:], signed=True))
        chosen = {host: None for host in chosen if host not in gone}
    return list(chosen)


def split(inventory: Inventory, pattern: str) -> list[str]:
    """The parts of a pattern, between commas, colons or spaces.

    Colons inside brackets, in an address or in the name of a host do not separate.

    Raises:
        ConfigError: it is empty, or has a bracket or parenthesis without its counterpart.
    """
    pieces: list[str] = []
    for part in (part.strip() for part in pattern.split(",")):
        bare = part.lstrip("&!")
        if not part:
            continue
        if bare in inventory.hosts or bare in inventory.groups or is_address(split_port(bare)[0]):
            pieces.append(part)
        else:
            found = _PIECE.findall(part)
            if sum(map(len, found)) != len(re.sub(r"(\[[^\]]*\])|[\s:]", r"\1", part)):
                raise ConfigError(f"the host pattern {part!r} has a bracket without its other half")
            pieces += found
    for piece in pieces:
        if piece in {"&", "!"}:
            raise ConfigError(f"the host pattern {pattern!r} has nothing behind a {piece}")
    if not pieces:
        raise ConfigError("the host pattern is empty", "name a host or a group, or all")
    return pieces


def _match(inventory: Inventory, piece: str, signed: bool = False) -> list[str]:
    if piece in inventory.hosts and not signed:
        return [piece]
    name, start, end = _subscript(piece)
    try:
        names = _names(inventory, name)
    except ConfigError as error:
        if start is None:
            raise
        hint = f"{piece[len(name) :]} counts positions in a group; by name it is '~{name}[1-3]$'"
        raise ConfigError(error.message, hint) from None
    if start is None:
        return names
    if end is not None:
        return names[start:end]
    if names and not -len(names) <= start < len(names):
        raise ConfigError(f"{piece!r} is past the end: {name} has {len(names)} hosts")
    return names[start : start + 1 or None]


def _subscript(piece: str) -> tuple[str, int | None, int | None]:
    """Name, first index and the index behind the last; both ends of ``[x:y]`` are included."""
    found = None if piece.startswith("~") else _SUBSCRIPT.fullmatch(piece)
    if not found:
        return piece, None, None
    name, single, first, last = found.groups()
    if single is not None:
        return name, int(single), None
    if last and int(last) == 0:  # [2:0] is [2], in Ansible too
        return name, int(first), None
    return name, int(first), int(last) + 1 if last else 1 << 31


def _names(inventory: Inventory, name: str) -> list[str]:
    test = _test(name)
    groups = _matching(inventory.groups, name, test)
    # A host of two of the groups is in the list twice: so Ansible's subscripts count.
    names = [host for group in groups for host in inventory.members(group)]
    if not groups or name.startswith("~") or set(name) & set(".?*["):
        names += _matching(inventory.hosts, name, test)
    if not names and name in LOCALHOST:
        # Whichever of its names the inventory lists, this machine is that one.
        names = [host for host in inventory.hosts if host in LOCALHOST][:1] or [name]
    if not names and not groups and not name.startswith("~") and not set(name) & set("*?["):
        raise ConfigError(
            f"{name!r} is neither a host nor a group of the inventory", inventory.known()
        )
    return names


def _matching(names: Iterable[str], name: str, test: Callable[[str], object]) -> list[str]:
    return [candidate for candidate in names if candidate == name or test(candidate)]


def _test(name: str) -> Callable[[str], object]:
    if not name.startswith("~"):
        return re.compile(fnmatch.translate(name)).match
    try:
        return re.compile(name[1:]).match
    except re.error as error:
        raise ConfigError(f"{name!r} is not a regular expression: {error}") from error
