"""Role `runtime`."""
