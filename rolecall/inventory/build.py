"""Put an inventory together from what its files say, in the order in which they say it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rolecall.errors import ConfigError
from rolecall.inventory.hostnames import expand
from rolecall.inventory.model import (
    LOCALHOST,
    Group,
    Inventory,
    InventoryHost,
    KeyPath,
    Layer,
    Place,
    Source,
)
from rolecall.inventory.variables import named, variable_layers

_PRIORITY = "ansible_group_priority"


class Builder:
    """Collects groups, hosts and variables; the readers of each format call it."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}
        self.hosts: dict[str, InventoryHost] = {}
        self.group("all")
        self.group("ungrouped")
        self.child("all", "ungrouped", "")

    def group(self, name: str) -> Group:
        """The group of that name, made if it is not there."""
        return self.groups.setdefault(name, Group(name))

    def child(self, parent: str, child: str, where: str) -> None:
        """Make a group the child of another.

        Raises:
            ConfigError: it is above that one already.
        """
        if child == "all":
            raise ConfigError(f"{where}: group all is its own child: every group is below it")
        path = self._way_up(parent, child)
        if path:
            raise ConfigError(f"{where}: group {child} is its own child: {' → '.join(path)}")
        self.group(parent).children[child] = None
        self.group(child).parents[parent] = None

    def entry(self, group: str, text: str, layer: Layer | None, where: str) -> None:
        """Add the hosts that an entry of a group stands for: ``web[01:10]:2222``.

        Raises:
            ConfigError: it is not a host name or a range.
        """
        try:
            names, port = expand(text)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error.message}", error.hint) from error
        for name in names:
            self.host(group, name, where, port)
            if layer:
                self.host_variables(name, layer)

    def host(self, group: str, name: str, where: str, port: int | None = None) -> None:
        """Add a host to a group. Only where it is first named, its port counts."""
        if name not in self.hosts:
            self.hosts[name] = InventoryHost(name)
            if port:
                self.hosts[name].inline.append(Layer(Place(where), (), {"ansible_port": port}))
        self.hosts[name].groups[group] = None
        self.group(group).hosts[name] = None

    def host_variables(self, name: str, layer: Layer) -> None:
        """Add variables of a host.

        Where a group has the same name, they are the group's: Ansible looks there first.
        """
        if name in self.groups:
            self.group_variables(name, layer)
        elif layer.variables:
            self.hosts[name].inline.append(layer)

    def group_variables(self, name: str, layer: Layer) -> None:
        """Add variables of a group; ``ansible_group_priority`` is none, but an order.

        Raises:
            ConfigError: the priority is not a whole number.
        """
        group = self.group(name)
        variables = dict(layer.variables)
        if _PRIORITY in variables:
            given = variables.pop(_PRIORITY)
            try:
                group.priority = int(given)
            except (TypeError, ValueError) as error:
                where = layer.where(_PRIORITY)
                raise ConfigError(
                    f"{where}: {_PRIORITY} must be a whole number, not {given!r}"
                ) from error
        if variables:
            group.inline.append(Layer(layer.file, layer.prefix, variables))

    def inventory(self, folder: Path | None) -> Inventory:
        """The inventory, with the variables of ``folder``'s group_vars and host_vars.

        Raises:
            ConfigError: a file of variables cannot be read.
        """
        for group in list(self.groups.values()):
            if group.name != "all" and not group.parents:
                self.child("all", group.name, "")
        self._settle_ungrouped()
        self._set_depths()
        implicit: dict[str, InventoryHost] = {}
        if not self.hosts.keys() & set(LOCALHOST):
            local = Layer(Place("implicit localhost"), (), {"ansible_connection": "local"})
            implicit = {name: InventoryHost(name, inline=[local]) for name in LOCALHOST}
        if folder:
            for group in self.groups.values():
                group.files = variable_layers(folder / "group_vars", group.name)
            for host in [*self.hosts.values(), *implicit.values()]:
                host.files = variable_layers(folder / "host_vars", host.name)
        return Inventory(self.groups, self.hosts, implicit, folder)

    def _way_up(self, start: str, goal: str) -> list[str]:
        """The groups from ``goal`` down to ``start`` and back, or nothing."""
        came: dict[str, str] = {start: goal}
        todo = [start]
        while todo:
            name = todo.pop()
            if name == goal:
                path = [goal]
                while path[-1] != start:
                    path.append(came[path[-1]])
                return [*path, goal]
            for parent in self.groups[name].parents if name in self.groups else ():
                if parent not in came:
                    came[parent] = name
                    todo.append(parent)
        return []

    def _settle_ungrouped(self) -> None:
        """``ungrouped`` holds the hosts of no other group, and no others."""
        ungrouped = self.groups["ungrouped"]
        for host in self.hosts.values():
            if set(host.groups) - {"all", "ungrouped"}:
                host.groups.pop("ungrouped", None)
                ungrouped.hosts.pop(host.name, None)
            else:
                host.groups["ungrouped"] = None
                ungrouped.hosts[host.name] = None

    def _set_depths(self) -> None:
        waiting = {name: len(group.parents) for name, group in self.groups.items()}
        ready = [name for name, count in waiting.items() if not count]
        while ready:
            group = self.groups[ready.pop()]
            for name in group.children:
                child = self.groups[name]
                child.depth = max(child.depth, group.depth + 1)
                waiting[name] -= 1
                if not waiting[name]:
                    ready.append(name)


def layer(source: Source, prefix: KeyPath, variables: Mapping[Any, Any]) -> Layer:
    """A layer of variables whose names are made texts."""
    return Layer(source, prefix, named(variables))
