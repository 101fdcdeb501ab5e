"""Read an inventory in YAML or JSON: a mapping of groups, with hosts, children and vars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rolecall.errors import ConfigError
from rolecall.inventory.build import Builder, layer
from rolecall.inventory.model import KeyPath
from rolecall.yamlfile import YamlFile

_GROUP_KEYS = ("hosts", "children", "vars")


def read_groups(builder: Builder, source: YamlFile) -> None:
    """Add the groups of ``source`` to the inventory.

    Raises:
        ConfigError: it is not laid out as an inventory, with file and line.
    """
    if not isinstance(source.data, Mapping):
        raise ConfigError(f"{source.path}: an inventory is a mapping of groups")
    if isinstance(source.data.get("plugin"), str):
        raise ConfigError(
            f"{source.where(('plugin',))}: this configures Ansible's inventory plugin "
            f"{source.data['plugin']}, which Rolecall does not have",
            f"make it a program that prints what `ansible-inventory -i {source.path.name} --list` "
            "prints; Rolecall runs an executable inventory",
        )
    for name, body in source.data.items():
        _read_group(builder, source, name, body, (str(name),))


def _read_group(builder: Builder, source: YamlFile, name: Any, body: Any, at: KeyPath) -> None:
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{source.where(at)}: the group's name {name!r} must be quoted")
    builder.group(name)
    if body is None:
        return
    _check_group(source, name, body, at)
    for key in body:
        inside = (*at, key)
        entries = _mapping(source, body[key], key, inside)
        if key == "vars":
            builder.group_variables(name, layer(source, inside, entries))
        elif key == "children":
            for child, child_body in entries.items():
                _read_group(builder, source, child, child_body, (*inside, str(child)))
                builder.child(name, child, source.where((*inside, child)))
        else:
            for host, variables in entries.items():
                _read_host(builder, source, name, host, variables, (*inside, str(host)))


def _check_group(source: YamlFile, name: str, body: Any, at: KeyPath) -> None:
    if not isinstance(body, Mapping):
        raise ConfigError(f"{source.where(at)}: group {name} must be a mapping")
    for key in body:
        if key not in _GROUP_KEYS:
            raise ConfigError(
                f"{source.where((*at, str(key)))}: a group has no {key!r}",
                "a group has hosts, children and vars",
            )


def _read_host(
    builder: Builder, source: YamlFile, group: str, host: Any, variables: Any, at: KeyPath
) -> None:
    where = source.where(at)
    if not isinstance(host, str) or not host:
        raise ConfigError(f"{where}: the host's name {host!r} must be quoted")
    if variables is not None and not isinstance(variables, Mapping):
        raise ConfigError(f"{where}: the variables of host {host} must be a mapping")
    builder.entry(group, host, layer(source, at, variables) if variables else None, where)


def _mapping(source: YamlFile, value: Any, key: str, at: KeyPath) -> Mapping[Any, Any]:
    if value is None:
        return {}
    if isinstance(value, str):  # one name alone
        return {value: None}
    if not isinstance(value, Mapping):
        raise ConfigError(f"{source.where(at)}: {key} must be a mapping")
    return value
