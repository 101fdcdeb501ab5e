"""A tree of directories, files and links."""
