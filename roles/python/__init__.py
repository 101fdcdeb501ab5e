"""Role `python`."""
