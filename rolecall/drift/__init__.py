"""Drift: what differs from what is declared, and what the difference is due to."""
