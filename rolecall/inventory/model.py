"""Hosts and groups, and the order in which variables of one host override each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from rolecall.errors import ConfigError

KeyPath = tuple[str, ...]

#: Names of this machine. One that no inventory lists is there all the same, with a local
#: connection, for those who name it; it is in no group but ``all``, and ``all`` does not list it.
LOCALHOST = ("127.0.0.1", "localhost", "::1")


class Source(Protocol):
    """Where variables stand: a file, a line of one, or what a program printed."""

    def where(self, key: KeyPath) -> str:
        """``file:line`` of a key, as near as the source knows."""
        ...


@dataclass(frozen=True)
class Place:
    """A source that is one place: a line of a file, or a part of a program's answer."""

    text: str

    def where(self, key: KeyPath) -> str:
        """The place, whatever the key."""
        return self.text


@dataclass(frozen=True)
class Layer:
    """Variables from one place. ``prefix`` leads to them inside the source, for messages."""

    file: Source
    prefix: KeyPath
    variables: Mapping[str, Any]

    def where(self, *key: str) -> str:
        """``file:line`` of one of the variables."""
        return self.file.where((*self.prefix, *key))


@dataclass
class Group:
    """A named set of hosts.

    Attributes:
        children: its groups, in the order they were given.
        parents: the groups it is a child of.
        hosts: the hosts that are in it directly, in the order they were given.
        inline: variables given in the inventory itself, the strongest last.
        files: variables from ``group_vars``.
        depth: steps from ``all``, the longest way down.
        priority: ``ansible_group_priority``: who wins among groups of one depth.
    """

    name: str
    children: dict[str, None] = field(default_factory=dict)
    parents: dict[str, None] = field(default_factory=dict)
    hosts: dict[str, None] = field(default_factory=dict)
    inline: list[Layer] = field(default_factory=list)
    files: list[Layer] = field(default_factory=list)
    depth: int = 0
    priority: int = 1


@dataclass
class InventoryHost:
    """One host, the groups that list it, and the layers of variables given for it alone."""

    name: str
    groups: dict[str, None] = field(default_factory=dict)
    inline: list[Layer] = field(default_factory=list)
    files: list[Layer] = field(default_factory=list)


@dataclass(frozen=True)
class Inventory:
    """All groups and hosts of one inventory.

    ``implicit`` are the names of this machine that the inventory does not list, see
    :data:`LOCALHOST`. ``folder`` is where its files lie; None for hosts given as a list.
    """

    groups: dict[str, Group]
    hosts: dict[str, InventoryHost]
    implicit: dict[str, InventoryHost] = field(default_factory=dict)
    folder: Path | None = None

    def host(self, name: str) -> InventoryHost:
        """A host by its name, listed or implicit.

        Raises:
            ConfigError: there is none.
        """
        found = self.hosts.get(name) or self.implicit.get(name)
        if found is None:
            raise ConfigError(f"the inventory has no host {name!r}", self.known())
        return found

    def known(self) -> str:
        """A hint that lists the groups and hosts, or the first of them."""
        names = [*self.groups, *self.hosts]
        more = f" and {len(names) - 20} more" if len(names) > 20 else ""
        return f"there are: {', '.join(names[:20])}{more}"

    def ad_hoc(self, name: str) -> Inventory:
        """This inventory and a host of ``all`` that it does not list; unchanged if it does."""
        if name in self.hosts or name in self.implicit:
            return self
        return replace(self, hosts={**self.hosts, name: InventoryHost(name)})

    def groups_of(self, host: str) -> list[Group]:
        """The groups a host is in, directly or through children, most general first.

        The order is Ansible's: by depth, then by ``ansible_group_priority``, then by name.
        """
        found = dict.fromkeys(["all", *self.host(host).groups])
        todo = list(found)
        while todo:
            for parent in self.groups[todo.pop()].parents:
                if parent not in found:
                    found[parent] = None
                    todo.append(parent)
        return sorted(
            (self.groups[name] for name in found),
            key=lambda group: (group.depth, group.priority, group.name),
        )

    def layers(self, host: str) -> list[Layer]:
        """A host's variables, the strongest last, in Ansible's order of precedence.

        Group variables of the inventory itself, ``group_vars/all``, other ``group_vars``, host
        variables of the inventory itself, ``host_vars``.
        """
        groups = self.groups_of(host)
        result = [layer for group in groups for layer in group.inline]
        result += [layer for group in groups for layer in group.files]
        own = self.host(host)
        return [*result, *own.inline, *own.files]

    def variables(self, host: str) -> dict[str, Any]:
        """A host's variables, merged: the strongest layer that has a name wins, as a whole."""
        merged: dict[str, Any] = {}
        for layer in self.layers(host):
            merged.update(layer.variables)
        return merged

    def members(self, group: str) -> list[str]:
        """The hosts of a group and of its children, those nearer to the group first."""
        level, order = [group], {group: None}
        while level:
            below = [child for name in level for child in self.groups[name].children]
            level = [name for name in dict.fromkeys(below) if name not in order]
            order.update(dict.fromkeys(level))
        found = dict.fromkeys(host for name in order for host in self.groups[name].hosts)
        if group == "all":  # a host that was named ad hoc is in no group's list
            found.update(dict.fromkeys(self.hosts))
        return list(found)

    def match(self, pattern: str) -> list[str]:
        """The hosts a pattern names: ``gpu:&eu:!gpu-03``, wildcards, ``~regex``, ``web[0:2]``.

        Raises:
            ConfigError: the pattern is empty or malformed, or a plain name in it is neither a
                host nor a group.
        """
        from rolecall.inventory.patterns import match

        return match(self, pattern)
