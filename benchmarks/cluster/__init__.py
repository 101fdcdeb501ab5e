"""The parts of ``benchmarks/k8s.py``: the same objects, brought to a cluster by several tools."""
