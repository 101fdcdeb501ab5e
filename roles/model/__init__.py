"""Role `model`."""
