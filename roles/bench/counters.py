"""Triton's own metrics: what a level cost inside the server, and how full the engine was.

Names and units as docs/user_guide/metrics.md of triton-inference-server/server has them (r24.10):
cumulative, times in microseconds, a label ``model`` on each. The engine's are gauges, see
roles/dashboard/metrics.py.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from roles.bench.statistics import Server

_NAMES = {
    "nv_inference_request_success": "requests",
    "nv_inference_queue_duration_us": "queue",
    "nv_inference_compute_infer_duration_us": "compute",
}

_LINE = re.compile(r"^(?P<name>\w+)\{(?P<labels>[^}]*)\} (?P<value>[0-9.eE+-]+)$", re.MULTILINE)
_MODEL = re.compile(r'\bmodel="([^"]*)"')

_ENGINE = {
    'nv_trt_llm_request_metrics{request_type="active"}': "active",
    'nv_trt_llm_request_metrics{request_type="waiting"}': "waiting",
    'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="used"}': "blocks",
    'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="max"}': "all_blocks",
}
_KIND = re.compile(r'\b(?:request_type|kv_cache_block_type)="[^"]*"')

#: Seconds between two looks at the engine.
_EVERY = 0.25

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


def engine(text: str) -> dict[str, float]:
    """How full the engine is: requests ``active`` and ``waiting``, ``blocks`` of the KV cache.

    Nothing where the server tells none of it.
    """
    found: dict[str, float] = {}
    for line in _LINE.finditer(text):
        kind = _KIND.search(line["labels"])
        if kind and (name := _ENGINE.get(f"{line['name']}{{{kind[0]}}}")):
            found[name] = found.get(name, 0.0) + float(line["value"])
    return found


@contextmanager
def page(base_url: str) -> Iterator[Callable[[], str]]:
    """The metrics page over one connection, as cheap as it can be: it is read beside the load.

    Its text is empty where there is none, or no ``base_url``.
    """
    import httpx

    with httpx.Client(timeout=5.0, trust_env=False) as client:

        def ask() -> str:
            try:
                answer = client.get(f"{base_url}/metrics")
            except httpx.HTTPError:
                return ""
            return answer.text if answer.status_code == 200 else ""

        yield ask if base_url else str


@contextmanager
def watched(ask: Callable[[], str]) -> Iterator[dict[str, float]]:
    """Look at the engine again and again; the most that was seen of each, complete at the end.

    ``ask`` gives the text of the metrics page, empty where there is none.
    """
    most: dict[str, float] = {}
    over = threading.Event()

    def look() -> None:
        while not over.wait(_EVERY):
            for name, value in engine(ask()).items():
                most[name] = max(value, most.get(name, 0.0))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


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
