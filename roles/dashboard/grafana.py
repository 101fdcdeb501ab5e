"""A dashboard for Grafana (10 or later), as its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roles.dashboard.scrape import JOB

#: What the variables of the dashboard choose.
_WHERE = 'host=~"$host",model=~"$model"'
_HOST = 'host=~"$host"'

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Panel:
    """One graph.

    Attributes:
        lines: what is drawn, by the legend of its lines.
        unit: Grafana's name of it.
    """

    title: str
    lines: Mapping[str, str]
    unit: str = "short"
    note: str = ""


def _mean(counter: str) -> str:
    """The mean of what a counter adds up, in microseconds, over requests."""
    return (
        f"rate({counter}{{{_WHERE}}}[$__rate_interval]) / "
        f"rate(nv_inference_request_success{{{_WHERE}}}[$__rate_interval])"
    )


def _blocks(kind: str) -> str:
    return f'nv_trt_llm_kv_cache_block_metrics{{{_HOST},kv_cache_block_type="{kind}"}}'


def _requests(kind: str) -> str:
    return f'nv_trt_llm_request_metrics{{{_HOST},request_type="{kind}"}}'


_EACH = "{{host}} {{model}}"

PANELS = (
    Panel("Up", {"{{host}}": f'up{{job="{JOB}",{_HOST}}}'}, note="1: Triton answers."),
    Panel(
        "Requests",
        {_EACH: f"rate(nv_inference_request_success{{{_WHERE}}}[$__rate_interval])"},
        "reqps",
    ),
    Panel(
        "Failures",
        {
            f"{_EACH} {{{{reason}}}}": f"rate(nv_inference_request_failure{{{_WHERE}}}"
            "[$__rate_interval])"
        },
        "reqps",
        "CANCELED are those that a client has given up.",
    ),
    Panel("Time of a request, mean", {_EACH: _mean("nv_inference_request_duration_us")}, "µs"),
    Panel("Time in the queue, mean", {_EACH: _mean("nv_inference_queue_duration_us")}, "µs"),
    Panel(
        "Time in the queue, quantiles",
        {f"{_EACH} {{{{quantile}}}}": f"nv_inference_queue_summary_us{{{_WHERE}}}"},
        "µs",
        "Only with server.options: [--metrics-config=summary_latencies=true].",
    ),
    Panel(
        "Requests in flight",
        {
            "{{host}} active": _requests("active"),
            "{{host}} waiting": _requests("waiting"),
            "{{host}} max": _requests("max"),
        },
        note="In the engine. Waiting ones have no place in the batch yet.",
    ),
    Panel(
        "Requests that Triton has not handed on",
        {_EACH: f"nv_inference_pending_request_count{{{_WHERE}}}"},
    ),
    Panel(
        "KV cache in use",
        {"{{host}}": f"{_blocks('used')} / ignoring (kv_cache_block_type) {_blocks('max')}"},
        "percentunit",
    ),
    Panel(
        "Batch of an execution, mean",
        {
            _EACH: f"rate(nv_inference_count{{{_WHERE}}}[$__rate_interval]) / "
            f"rate(nv_inference_exec_count{{{_WHERE}}}[$__rate_interval])"
        },
    ),
    Panel(
        "GPU memory in use",
        {
            "{{host}} {{gpu_uuid}}": f"nv_gpu_memory_used_bytes{{{_HOST}}} / "
            f"nv_gpu_memory_total_bytes{{{_HOST}}}"
        },
        "percentunit",
    ),
    Panel("GPU", {"{{host}} {{gpu_uuid}}": f"nv_gpu_utilization{{{_HOST}}}"}, "percentunit"),
    Panel("GPU power", {"{{host}} {{gpu_uuid}}": f"nv_gpu_power_usage{{{_HOST}}}"}, "watt"),
    Panel("CPU", {"{{host}}": f"nv_cpu_utilization{{{_HOST}}}"}, "percentunit"),
    Panel(
        "Memory in use",
        {"{{host}}": f"nv_cpu_memory_used_bytes{{{_HOST}}} / nv_cpu_memory_total_bytes{{{_HOST}}}"},
        "percentunit",
    ),
)

_WIDE, _HIGH, _ACROSS = 8, 8, 3


def dashboard() -> dict[str, Any]:
    """The dashboard; import it, and choose the data source there."""
    return {
        "uid": "rolecall-triton",
        "title": "Triton",
        "tags": ["rolecall", "triton"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }


def _variables() -> list[dict[str, Any]]:
    choose = {
        "type": "query",
        "datasource": _SOURCE,
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }
    queries = {
        "host": f'label_values(up{{job="{JOB}"}}, host)',
        "model": f"label_values(nv_inference_request_success{{{_HOST}}}, model)",
    }
    return [
        {"type": "datasource", "name": "datasource", "query": "prometheus"},
        *({**choose, "name": name, "query": query} for name, query in queries.items()),
    ]


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.note,
        "datasource": _SOURCE,
        "gridPos": {
            "x": number % _ACROSS * _WIDE,
            "y": number // _ACROSS * _HIGH,
            "w": _WIDE,
            "h": _HIGH,
        },
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + at), "expr": line, "legendFormat": legend}
            for at, (legend, line) in enumerate(panel.lines.items())
        ],
    }
