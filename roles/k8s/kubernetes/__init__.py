"""Flavour ``kubernetes``: a Deployment, and all that belongs to it."""
