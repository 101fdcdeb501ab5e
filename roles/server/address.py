"""Addresses as URLs and options have them. Pure functions."""

from __future__ import annotations

#: An address that means all of a machine's, and the one by which the machine reaches itself.
_OWN = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def bracketed(address: str) -> str:
    """The address as it stands in front of a port."""
    return f"[{address}]" if ":" in address else address


def reachable(address: str) -> str:
    """The same, by which the machine that listens there reaches itself."""
    return bracketed(_OWN.get(address, address))
