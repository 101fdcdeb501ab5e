"""Role `engine`."""
