"""Fixtures that every test may ask for, and what holds for all of them."""

from hypothesis import settings

from tests.integration.deployed import deployed

__all__ = ["deployed"]

# A busy machine is no counterexample.
settings.register_profile("rolecall", deadline=None)
settings.load_profile("rolecall")
