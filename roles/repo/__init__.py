"""Role `repo`."""
