"""The engine of a GPU host: TensorRT-LLM's checkpoint conversion and ``trtllm-build``."""
