"""The roles of the benchmark's project."""
