"""Rolecall: idempotent roles on hosts, one round trip at a time."""
