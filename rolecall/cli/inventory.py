"""``inventory``: what the inventory says, as ``ansible-inventory`` prints it."""

from __future__ import annotations

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.errors import ConfigError


def show_inventory(project: Project, flags: Flags, *, host: str, graph: bool, group: str) -> None:
    """Print the tree below ``group``, the variables of one host, or everything as JSON.

    Raises:
        ConfigError: the inventory is wrong, a name is not in it, or options contradict.
    """
    from rolecall.inventory.listing import graph as draw
    from rolecall.inventory.listing import host_json, list_json

    if group and not graph:
        raise ConfigError(f"{group!r}: only --graph takes a group", f"--graph {group}")
    inventory = project.inventory(flags)
    if graph:
        print(draw(inventory, group or "all"))
    elif host:
        print(host_json(inventory, host))
    else:
        print(list_json(inventory))
