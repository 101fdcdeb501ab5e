"""Verification: what must hold on a host or a cluster, as tests of pytest and testinfra."""
