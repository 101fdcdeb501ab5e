"""The metrics that the rules and the dashboard rely on, and who says that they exist.

Triton's own are those of docs/user_guide/metrics.md of triton-inference-server/server (commit
067c1e9); the CPU build of the recipe ``cpu`` (Triton 2.69 in nvidia-pytriton 0.7.0) serves all of
them but those of GPUs and summaries. The engine's are those of
triton_backend/inflight_batcher_llm/src/custom_metrics_reporter/custom_metrics_reporter.cc of
NVIDIA/TensorRT-LLM (commit 0d5352f); the backend of the recipe ``cpu`` answers the first two.
"""

from __future__ import annotations

#: Served by every Triton, on a CPU as well.
TRITON = (
    "nv_inference_request_success",
    "nv_inference_request_failure",
    "nv_inference_count",
    "nv_inference_exec_count",
    "nv_inference_request_duration_us",
    "nv_inference_queue_duration_us",
    "nv_inference_compute_infer_duration_us",
    "nv_inference_pending_request_count",
    "nv_cpu_utilization",
    "nv_cpu_memory_used_bytes",
    "nv_cpu_memory_total_bytes",
)

#: Served where Triton sees a GPU.
GPU = (
    "nv_gpu_utilization",
    "nv_gpu_memory_used_bytes",
    "nv_gpu_memory_total_bytes",
    "nv_gpu_power_usage",
)

#: Served with ``--metrics-config=summary_latencies=true``.
SUMMARIES = ("nv_inference_queue_summary_us", "nv_inference_request_summary_us")

#: Of the engine: requests by ``request_type`` (active, max, scheduled, context, waiting) and
#: blocks by ``kv_cache_block_type`` (max, free, used, tokens_per, reused, fraction).
ENGINE = ("nv_trt_llm_request_metrics", "nv_trt_llm_kv_cache_block_metrics")

#: Of TensorRT-LLM's own backend alone, by ``inflight_batcher_specific_metric``.
BATCHER = ("nv_trt_llm_inflight_batcher_metrics",)

KNOWN = frozenset((*TRITON, *GPU, *SUMMARIES, *ENGINE, *BATCHER))
