"""Our answers as values to compare, and where the order of Ansible's hosts can be foretold."""

from pathlib import Path

from rolecall.errors import ConfigError
from rolecall.inventory import Inventory, load_inventory


def loaded(source: Path) -> Inventory | ConfigError:
    """The inventory, or why it was refused."""
    try:
        return load_inventory(source)
    except ConfigError as error:
        return error


def matched(inventory: Inventory, pattern: str) -> list[str] | ConfigError:
    """The hosts, or why the pattern was refused."""
    try:
        return inventory.match(pattern)
    except ConfigError as error:
        return error


def is_fixed(inventory: Inventory, group: str) -> bool:
    """Whether Ansible lists the hosts of a group in an order that does not depend on hashes.

    It walks the groups below level by level, and each level but the first in the order of a set.
    So the order is sure where no more than one group of a level has children of its own.
    """
    seen = {group}
    level = list(inventory.groups[group].children)
    while level:
        seen.update(level)
        below = {
            name: new
            for name in level
            if (new := [child for child in inventory.groups[name].children if child not in seen])
        }
        if len(below) > 1:
            return False
        level = [child for children in below.values() for child in children]
    return True
