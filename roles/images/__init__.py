"""Container images of this project: what is in them, and how they are built."""
