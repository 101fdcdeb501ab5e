"""Role `server`."""
