"""The inventory: which hosts there are, in which groups, with which variables."""

from rolecall.inventory.connection import Become, Connection, connection
from rolecall.inventory.load import load_inventory
from rolecall.inventory.model import Group, Inventory, InventoryHost, Layer

__all__ = [
    "Become",
    "Connection",
    "Group",
    "Inventory",
    "InventoryHost",
    "Layer",
    "connection",
    "load_inventory",
]
