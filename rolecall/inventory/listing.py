"""An inventory as ``ansible-inventory`` prints it: ``--list``, ``--host`` and ``--graph``."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Any

from rolecall.errors import ConfigError
from rolecall.inventory.model import Inventory
from rolecall.yamlfile import Unsafe

#: Names that Ansible sets itself and therefore does not list.
_INTERNAL = frozenset(
    {
        "ansible_config_file",
        "ansible_diff_mode",
        "ansible_facts",
        "ansible_forks",
        "ansible_inventory_sources",
        "ansible_limit",
        "ansible_playbook_python",
        "ansible_run_tags",
        "ansible_skip_tags",
        "ansible_verbosity",
        "ansible_version",
        "group_names",
        "groups",
        "inventory_dir",
        "inventory_file",
        "inventory_hostname",
        "inventory_hostname_short",
        "omit",
        "playbook_dir",
    }
)


def list_json(inventory: Inventory) -> str:
    """Groups and the variables of every host, as JSON."""
    result: dict[str, Any] = {}
    for group in inventory.groups.values():
        hosts = [] if group.name == "all" else list(group.hosts)
        entry = {"children": list(group.children), "hosts": hosts}
        if filled := {key: value for key, value in entry.items() if value}:
            result[group.name] = filled
    # Ansible's word for how the variables are written.
    meta: dict[str, Any] = {"hostvars": {}, "profile": "inventory_legacy"}
    for host in inventory.hosts:
        if variables := _listed(inventory, host):
            meta["hostvars"][host] = variables
    return _json({**result, "_meta": meta}, marked=True)


def host_json(inventory: Inventory, pattern: str) -> str:
    """The variables of one host, as JSON.

    Raises:
        ConfigError: the pattern does not name exactly one.
    """
    names = inventory.match(pattern)
    if len(names) != 1:
        found = f"names {len(names)} hosts" if names else "names no host"
        raise ConfigError(f"--host {pattern} {found}, and has to name one", inventory.known())
    return _json(_listed(inventory, names[0]), marked=False)


def graph(inventory: Inventory, group: str = "all") -> str:
    """The tree of groups and hosts below ``group``.

    Raises:
        ConfigError: there is no such group.
    """
    if group not in inventory.groups:
        raise ConfigError(f"there is no group {group!r}", inventory.known())
    lines: list[str] = []
    todo = [(f"@{group}", group, 0)]
    while todo:
        label, name, depth = todo.pop()
        lines.append("  |" * depth + ("--" if depth else "") + label + (":" if name else ""))
        if name:
            hosts = [] if name == "all" else list(inventory.groups[name].hosts)
            below = [(f"@{child}", child, depth + 1) for child in inventory.groups[name].children]
            todo += reversed([*below, *((host, "", depth + 1) for host in hosts)])
    return "\n".join(lines)


def _listed(inventory: Inventory, host: str) -> dict[str, Any]:
    variables = inventory.variables(host)
    return {name: value for name, value in variables.items() if name not in _INTERNAL}


def _json(value: Any, *, marked: bool) -> str:
    return json.dumps(_plain(value, marked), indent=4, sort_keys=True, ensure_ascii=False)


def _plain(value: Any, marked: bool) -> Any:
    """A value in terms of JSON; a secret given by reference stays a reference.

    ``marked``: with Ansible's mark on texts that are not to be templated.
    """
    if isinstance(value, Mapping):
        return {_key(key): _plain(inner, marked) for key, inner in value.items()}
    if isinstance(value, (set, frozenset)):
        return [_plain(inner, marked) for inner in sorted(value, key=repr)]
    if isinstance(value, (list, tuple)):
        return [_plain(inner, marked) for inner in value]
    if isinstance(value, Unsafe):
        return {"__ansible_unsafe": str(value)} if marked else str(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    if value is None or isinstance(value, (str, int, float)):
        return value
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _key(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(key, default=str)
