"""Fixtures that every test may ask for."""

from tests.integration.deployed import deployed

__all__ = ["deployed"]
