"""The parts of ``benchmarks/runner.py``: the same desired state, brought by several tools."""
