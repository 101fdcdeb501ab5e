"""Alerts on a served model. Each says what to type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from roles.dashboard.scrape import JOB

#: Microseconds of a second: Triton counts time in microseconds.
_MICRO = "1e6"

# Before Triton 24.01 failures have no reason, and all count.
_FAILURES = (
    'sum by (host, instance, model) (rate(nv_inference_request_failure{reason!="CANCELED"}[5m]))'
)

_MODELS = 'model=~"ensemble|tensorrt_llm"'


@dataclass(frozen=True)
class Alert:
    """One rule.

    Attributes:
        minutes: how long it has to hold.
        runbook: what to type; ``{{ $labels.host }}`` is the host's name in the inventory.
    """

    name: str
    expression: str
    minutes: int
    severity: Literal["critical", "warning"]
    summary: str
    description: str
    runbook: str


ALERTS = (
    Alert(
        "TritonDown",
        f'up{{job="{JOB}"}} == 0',
        2,
        "critical",
        "Triton on {{ $labels.host }} does not answer",
        "Nothing is served at {{ $labels.instance }}, or it cannot be reached from here.",
        "./inv status --hosts {{ $labels.host }}",
    ),
    Alert(
        "TritonNotReady",
        f'up{{job="{JOB}"}} == 1 unless on (instance) nv_inference_request_success{{{_MODELS}}}',
        3,
        "critical",
        "Triton on {{ $labels.host }} runs without its model",
        "It answers, and has no model ensemble or tensorrt_llm loaded.",
        "./inv logs --lines 200 --hosts {{ $labels.host }}",
    ),
    Alert(
        "TritonErrors",
        f"{_FAILURES} / (sum by (host, instance, model) "
        f"(rate(nv_inference_request_success[5m])) + {_FAILURES}) > 0.05",
        5,
        "critical",
        "{{ $value | humanizePercentage }} of the requests to {{ $labels.model }} on "
        "{{ $labels.host }} fail",
        "Requests that a client has cancelled do not count.",
        "./inv logs --lines 200 --hosts {{ $labels.host }}",
    ),
    Alert(
        "TritonQueueSlow",
        f"rate(nv_inference_queue_duration_us{{{_MODELS}}}[5m]) / "
        f"rate(nv_inference_request_success{{{_MODELS}}}[5m]) / {_MICRO} > 5",
        5,
        "warning",
        "Requests to {{ $labels.model }} on {{ $labels.host }} wait "
        "{{ $value | humanizeDuration }} in Triton's queue",
        "The mean of five minutes. More come than the engine takes.",
        "./inv settings engine --hosts {{ $labels.host }}",
    ),
    Alert(
        "TritonRequestsWait",
        'min_over_time(nv_trt_llm_request_metrics{request_type="waiting"}[10m]) > 0',
        5,
        "warning",
        "Requests wait for the engine on {{ $labels.host }} all the time",
        "{{ $value }} at least, for ten minutes: the batch or the KV cache is full.",
        "./inv preflight --hosts {{ $labels.host }}",
    ),
    Alert(
        "TritonKvCacheNearlyFull",
        'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="used"} / '
        "ignoring (kv_cache_block_type) "
        'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="max"} > 0.95',
        10,
        "warning",
        "The KV cache on {{ $labels.host }} is {{ $value | humanizePercentage }} full",
        "New sequences wait until others end, or these are paused.",
        "./inv preflight --hosts {{ $labels.host }}",
    ),
    Alert(
        "TritonGpuMemoryNearlyFull",
        "nv_gpu_memory_used_bytes / nv_gpu_memory_total_bytes > 0.98",
        15,
        "warning",
        "GPU {{ $labels.gpu_uuid }} on {{ $labels.host }} has "
        "{{ $value | humanizePercentage }} of its memory in use",
        "The next allocation may fail. Something else may be on that GPU.",
        "./inv preflight --hosts {{ $labels.host }}",
    ),
    Alert(
        "TritonRestarts",
        f'changes(up{{job="{JOB}"}}[1h]) >= 6 or on (instance) '
        f"max by (host, instance) (resets(nv_inference_request_success{{{_MODELS}}}[1h])) >= 3",
        0,
        "warning",
        "Triton on {{ $labels.host }} was restarted several times within an hour",
        "It comes up and ends again.",
        "./inv logs --lines 500 --hosts {{ $labels.host }}",
    ),
)


def rules() -> dict[str, Any]:
    """A file of rules."""
    return {"groups": [{"name": JOB, "rules": [_rule(alert) for alert in ALERTS]}]}


def _rule(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": f"{alert.minutes}m",
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook": alert.runbook,
        },
    }
