"""Triton's own counters: what a level cost inside the server.

Names and units as docs/user_guide/metrics.md of triton-inference-server/server has them (r24.10):
cumulative, times in microseconds, a label ``model`` on each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from roles.bench.statistics import Server

_NAMES = {
    "nv_inference_request_success": "requests",
    "nv_inference_queue_duration_us": "queue",
    "nv_inference_compute_infer_duration_us": "compute",
}

_LINE = re.compile(r"^(?P<name>\w+)\{(?P<labels>[^}]*)\} (?P<value>[0-9.eE+-]+)$", re.MULTILINE)
_MODEL = re.compile(r'\bmodel="([^"]*)"')

#: Of each model, the three counters.
Counters = Mapping[str, Mapping[str, float]]


def read(text: str) -> dict[str, dict[str, float]]:
    """The counters in the text of a metrics page."""
    found: dict[str, dict[str, float]] = {}
    for line in _LINE.finditer(text):
        model = _MODEL.search(line["labels"])
        if line["name"] in _NAMES and model:
            counters = found.setdefault(model[1], dict.fromkeys(_NAMES.values(), 0.0))
            counters[_NAMES[line["name"]]] += float(line["value"])
    return found


def between(before: Counters, after: Counters) -> tuple[Server, ...]:
    """What each model did between two readings, those that did nothing left out."""
    told = []
    for model, now in sorted(after.items()):
        then = before.get(model, {})
        grown = {name: value - then.get(name, 0.0) for name, value in now.items()}
        requests = round(grown["requests"])
        if requests > 0:
            per = 1e6 * requests
            told.append(Server(model, requests, grown["queue"] / per, grown["compute"] / per))
    return tuple(told)
