"""Hosts and groups, and the order in which variables of one host override each other."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rolecall.errors import ConfigError
from rolecall.yamlfile import YamlFile


@dataclass(frozen=True)
class Layer:
    """Variables from one place. ``prefix`` leads to them inside the file, for messages."""

    file: YamlFile
    prefix: tuple[str, ...]
    variables: Mapping[str, Any]

    def where(self, *key: str) -> str:
        """``file:line`` of one of the variables."""
        return self.file.where((*self.prefix, *key))


@dataclass
class Group:
    """A named set of hosts; ``depth`` counts from ``all``, the longest way down."""

    name: str
    children: set[str] = field(default_factory=set)
    hosts: dict[str, None] = field(default_factory=dict)
    inline: list[Layer] = field(default_factory=list)
    files: list[Layer] = field(default_factory=list)
    depth: int = 0


@dataclass
class InventoryHost:
    """One host, and the layers of variables given for it alone."""

    name: str
    inline: list[Layer] = field(default_factory=list)
    files: list[Layer] = field(default_factory=list)


@dataclass
class Inventory:
    """All groups and hosts of one inventory."""

    groups: dict[str, Group]
    hosts: dict[str, InventoryHost]

    def groups_of(self, host: str) -> list[Group]:
        """The groups a host is in, directly or through children, most general first.

        The order is Ansible's: ``all``, then by depth, then by name.
        """
        found = {name for name, group in self.groups.items() if host in group.hosts} | {"all"}
        grown = True
        while grown:
            parents = {name for name, group in self.groups.items() if group.children & found}
            grown = not parents <= found
            found |= parents
        return sorted(
            (self.groups[name] for name in found if name in self.groups),
            key=lambda group: (group.depth, group.name),
        )

    def layers(self, host: str) -> list[Layer]:
        """A host's variables, the strongest last, in Ansible's order of precedence.

        Group variables of the inventory file, ``group_vars/all``, other ``group_vars``, host
        variables of the inventory file, ``host_vars``.
        """
        groups = self.groups_of(host)
        result = [layer for group in groups for layer in group.inline]
        result += [layer for group in groups for layer in group.files]
        own = self.hosts[host]
        return [*result, *own.inline, *own.files]

    def variables(self, host: str) -> dict[str, Any]:
        """A host's variables, merged: the strongest layer that has a name wins."""
        merged: dict[str, Any] = {}
        for layer in self.layers(host):
            merged.update(layer.variables)
        return merged

    def members(self, group: str) -> list[str]:
        """The hosts of a group and of its children, in the order of the inventory."""
        wanted = {group}
        todo = [group]
        while todo:
            for child in self.groups[todo.pop()].children:
                if child not in wanted:
                    wanted.add(child)
                    todo.append(child)
        inside = {host for name in wanted for host in self.groups[name].hosts}
        return [host for host in self.hosts if host in inside or group == "all"]

    def match(self, pattern: str) -> list[str]:
        """The hosts a pattern names: ``gpu:&eu:!gpu-03``, wildcards, ``~regex``.

        A pattern that only takes away, such as ``!gpu``, starts from all hosts, as in Ansible.

        Raises:
            ConfigError: a plain name is neither a host nor a group, or a regex is not valid.
        """
        parts = [part.strip() for part in re.split(r"[,:]", pattern) if part.strip()]
        order = {"!": 2, "&": 1}
        chosen: dict[str, None] = {}
        if parts and all(part[0] in "&!" for part in parts):
            parts.append("all")
        for part in sorted(parts, key=lambda part: order.get(part[0], 0)):
            sign = part[0] if part[0] in "&!" else ""
            matched = self._match_one(part[len(sign) :])
            if sign == "&":
                chosen = {host: None for host in chosen if host in matched}
            elif sign == "!":
                chosen = {host: None for host in chosen if host not in matched}
            else:
                chosen.update(dict.fromkeys(matched))
        return list(chosen)

    def _match_one(self, name: str) -> list[str]:
        if name in self.groups:
            return self.members(name)
        if name in self.hosts:
            return [name]
        if name.startswith("~"):
            try:
                test = re.compile(name[1:]).match
            except re.error as error:
                raise ConfigError(f"{name!r} is not a regular expression: {error}") from error
        else:
            test = re.compile(fnmatch.translate(name)).match
        names = [host for group in self.groups if test(group) for host in self.members(group)]
        names += [host for host in self.hosts if test(host)]
        if not names and not set(name) & set("*?[~"):
            known = ", ".join([*self.groups, *self.hosts])
            raise ConfigError(
                f"{name!r} is neither a host nor a group of the inventory", f"there are: {known}"
            )
        return list(dict.fromkeys(names))
