"""The inventory: which hosts there are, in which groups, with which variables."""

from rolecall.inventory.load import load_inventory
from rolecall.inventory.model import Group, Inventory, InventoryHost, Layer

__all__ = ["Group", "Inventory", "InventoryHost", "Layer", "load_inventory"]
