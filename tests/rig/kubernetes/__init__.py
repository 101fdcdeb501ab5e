"""Kubernetes on this machine: a real control plane, and a real node where root may have one."""
