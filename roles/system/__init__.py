"""Role `system`."""
