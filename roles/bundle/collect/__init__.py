"""Collects a bundle, on the machine that has a network."""
