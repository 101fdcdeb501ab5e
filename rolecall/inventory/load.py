"""Read an inventory folder: hosts.yaml, group_vars/ and host_vars/, as Ansible lays them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rolecall.errors import ConfigError
from rolecall.inventory.model import Group, Inventory, InventoryHost, Layer
from rolecall.yamlfile import YamlFile, read_yaml

_GROUP_KEYS = {"hosts", "children", "vars"}


def load_inventory(folder: Path) -> Inventory:
    """Read the inventory in ``folder``.

    Raises:
        ConfigError: a file is missing, is not YAML, or is not laid out as an inventory.
    """
    path = next(
        (folder / name for name in ("hosts.yaml", "hosts.yml") if (folder / name).exists()), None
    )
    if path is None:
        raise ConfigError(f"there is no inventory: {folder}/hosts.yaml does not exist")
    source = read_yaml(path)
    inventory = Inventory({"all": Group("all")}, {})
    if not isinstance(source.data, dict):
        raise ConfigError(f"{path}: an inventory is a mapping of groups")
    for name, body in source.data.items():
        _read_group(inventory, source, str(name), body, (str(name),))
    for name in list(inventory.groups):
        if name != "all" and not any(name in group.children for group in inventory.groups.values()):
            inventory.groups["all"].children.add(name)
    _set_depths(inventory)
    for group in inventory.groups.values():
        group.files += _variable_files(folder / "group_vars", group.name)
    for host in inventory.hosts.values():
        host.files += _variable_files(folder / "host_vars", host.name)
    return inventory


def _read_group(
    inventory: Inventory, source: YamlFile, name: str, body: Any, at: tuple[str, ...]
) -> None:
    group = inventory.groups.setdefault(name, Group(name))
    if body is None:
        return
    if not isinstance(body, dict):
        raise ConfigError(f"{source.where(at)}: group {name} must be a mapping")
    if unknown := sorted(set(body) - _GROUP_KEYS):
        raise ConfigError(
            f"{source.where((*at, str(unknown[0])))}: a group has no {unknown[0]!r}",
            "a group has hosts, children and vars",
        )
    for host, variables in _mapping(source, body, "hosts", at).items():
        entry = inventory.hosts.setdefault(str(host), InventoryHost(str(host)))
        group.hosts[str(host)] = None
        if variables:
            prefix = (*at, "hosts", str(host))
            entry.inline.append(Layer(source, prefix, variables))
    if variables := _mapping(source, body, "vars", at):
        group.inline.append(Layer(source, (*at, "vars"), variables))
    for child, child_body in _mapping(source, body, "children", at).items():
        group.children.add(str(child))
        _read_group(inventory, source, str(child), child_body, (*at, "children", str(child)))


def _mapping(source: YamlFile, body: dict[str, Any], key: str, at: tuple[str, ...]) -> Any:
    value = body.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{source.where((*at, key))}: {key} must be a mapping")
    return value


def _set_depths(inventory: Inventory) -> None:
    def visit(name: str, depth: int, path: tuple[str, ...]) -> None:
        if name in path:
            raise ConfigError(f"group {name} is its own child: {' → '.join((*path, name))}")
        group = inventory.groups[name]
        group.depth = max(group.depth, depth)
        for child in group.children:
            visit(child, depth + 1, (*path, name))

    for name in inventory.groups:  # not only from all: a ring of groups hangs from nothing
        visit(name, 0, ())


def _variable_files(folder: Path, name: str) -> list[Layer]:
    files = [folder / f"{name}{suffix}" for suffix in (".yaml", ".yml", "")]
    paths = [path for path in files if path.is_file()]
    inside = folder / name
    if inside.is_dir():
        paths += sorted(path for path in inside.rglob("*") if path.suffix in {".yaml", ".yml"})
    layers: list[Layer] = []
    for path in paths:
        source = read_yaml(path)
        if not isinstance(source.data, dict):
            raise ConfigError(f"{path}: variables must be a mapping of names to values")
        layers.append(Layer(source, (), source.data))
    return layers
