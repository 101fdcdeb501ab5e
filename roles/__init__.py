"""The roles of this project, one folder each."""
