"""Role `bundle`."""
