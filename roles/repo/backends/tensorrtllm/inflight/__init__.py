"""The CPU engine behind the ``tensorrtllm`` backend: continuous batching on OpenVINO."""
