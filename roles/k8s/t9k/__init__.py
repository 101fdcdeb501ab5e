"""Flavour ``t9k``: MLServiceRuntime and MLService of TensorStack."""
