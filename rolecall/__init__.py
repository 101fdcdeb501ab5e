"""Rolecall: idempotent roles on hosts, one round trip at a time."""

__version__ = "0.1.0"
