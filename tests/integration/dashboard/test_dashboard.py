"""``./inv dashboard``: what Prometheus' own promtool says of it, and what Triton itself serves."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from roles.dashboard.metrics import ENGINE, KNOWN, TRITON
from roles.dashboard.rules import ALERTS, rules
from roles.dashboard.write import files
from tests.integration.deployed import Deployment, run_inv

_METRIC = re.compile(r"\bnv_\w+")

INVENTORY = """
all:
  children:
    cpu:
      hosts:
        localhost:
        open-1: {ansible_host: 192.0.2.7, server: {address: 0.0.0.0, metrics_port: 9102}}
        open-2: {ansible_host: "2001:db8::2", server: {address: "::"}}
        shut-1: {ansible_host: 192.0.2.8, server: {api_key: !env NOBODY_HAS_SET_THIS}}
    kubernetes: {hosts: {cluster: {k8s_context: somewhere}}}
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files for an inventory of every kind of host."""
    folder = tmp_path_factory.mktemp("dashboard")
    (folder / "hosts.yaml").write_text(INVENTORY)
    done = run_inv(*_command(folder))
    assert done.returncode == 0, done.stderr
    assert "shut-1: listens on 127.0.0.1 alone" in done.stdout
    assert "cluster: a cluster: its pods are found by a ServiceMonitor" in done.stdout
    return folder / "out"


def _command(folder: Path) -> list[str]:
    inventory = str(folder / "hosts.yaml")
    return ["dashboard", "--hosts", "all", "--out", str(folder / "out"), "--inventory", inventory]


def promtool(*arguments: str) -> str:
    """What promtool says; it has to be content. Skips, by name, where there is none."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def expressions() -> dict[str, str]:
    """Every PromQL expression, of rules and panels."""
    found = {alert.name: alert.expression for alert in ALERTS}
    board = json.loads(files([])["grafana.json"])
    for panel in board["panels"]:
        for target in panel["targets"]:
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    return found


def test_prometheus_takes_config_and_rules(written: Path) -> None:
    assert "is valid prometheus config file" in promtool(
        "check", "config", str(written / "prometheus.yml")
    )
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", str(written / "rules.yml"))


def test_every_host_that_can_be_reached_is_a_target(written: Path) -> None:
    config = yaml.safe_load((written / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    found = {one["labels"]["host"]: one["targets"] for one in job["static_configs"]}
    assert found == {
        "localhost": ["127.0.0.1:8002"],
        "open-1": ["192.0.2.7:9102"],
        "open-2": ["[2001:db8::2]:8002"],
    }


def test_the_same_inventory_gives_the_same_bytes(written: Path) -> None:
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in written.iterdir()}
    done = run_inv(*_command(written.parent))
    assert done.stdout.count("ok  ") == 3 and "changed" not in done.stdout
    after = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in written.iterdir()}
    assert before == after and set(after) == {"prometheus.yml", "rules.yml", "grafana.json"}


def test_a_directory_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run_inv("dashboard", "--out", str(tmp_path / "file" / "below"))
    assert done.returncode == 1
    assert "cannot be written" in done.stderr and "Traceback" not in done.stderr


def test_every_metric_is_one_that_is_documented() -> None:
    used = {name for line in expressions().values() for name in _METRIC.findall(line)}
    assert used <= KNOWN, used - KNOWN
    assert len(used) >= 12


def test_every_panels_query_is_promql(tmp_path: Path) -> None:
    """Grafana's variables are filled in as Grafana does it."""
    groups = [
        {"record": f"q{number}", "expr": _filled(line)}
        for number, line in enumerate(expressions().values())
    ]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": groups}]}))
    promtool("check", "rules", str(path))


def _filled(line: str) -> str:
    filled = line.replace("$__rate_interval", "1m").replace("$host", ".*").replace("$model", ".*")
    assert "$" not in filled
    return filled


def test_the_dashboard_is_whole() -> None:
    board = json.loads(files([])["grafana.json"])
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in panels)
    names = {variable["name"] for variable in board["templating"]["list"]}
    text = json.dumps(panels).replace("$__rate_interval", "")
    assert set(re.findall(r"\$\{?(\w+)", text)) <= names


def test_every_alert_names_a_command_that_there_is() -> None:
    for alert in ALERTS:
        words = alert.runbook.replace("{{ $labels.host }}", "localhost").split()
        assert words[0] == "./inv"
        shown = run_inv(words[1], "--help").stdout
        for option in (word for word in words if word.startswith("--")):
            assert option in shown, alert.runbook


#: For each alert: series that raise it, and after how many minutes. The host is h, at h:8002.
_AT = 'host="h",instance="h:8002"'
_MODEL = f'{_AT},model="ensemble",version="1"'
_ENGINE = f'{_AT},model="tensorrt_llm",version="1"'
RAISING: dict[str, dict[str, str]] = {
    "TritonDown": {f'up{{job="triton",{_AT}}}': "0x60"},
    "TritonNotReady": {f'up{{job="triton",{_AT}}}': "1x60"},
    "TritonErrors": {
        f"nv_inference_request_success{{{_MODEL}}}": "0+90x60",
        f'nv_inference_request_failure{{{_MODEL},reason="BACKEND"}}': "0+10x60",
    },
    "TritonQueueSlow": {
        f"nv_inference_queue_duration_us{{{_MODEL}}}": "0+60000000x60",
        f"nv_inference_request_success{{{_MODEL}}}": "0+10x60",
    },
    "TritonRequestsWait": {
        f'nv_trt_llm_request_metrics{{{_ENGINE},request_type="waiting"}}': "3x60"
    },
    "TritonKvCacheNearlyFull": {
        f'nv_trt_llm_kv_cache_block_metrics{{{_ENGINE},kv_cache_block_type="used"}}': "99x60",
        f'nv_trt_llm_kv_cache_block_metrics{{{_ENGINE},kv_cache_block_type="max"}}': "100x60",
    },
    "TritonGpuMemoryNearlyFull": {
        f'nv_gpu_memory_used_bytes{{{_AT},gpu_uuid="g"}}': "99x60",
        f'nv_gpu_memory_total_bytes{{{_AT},gpu_uuid="g"}}': "100x60",
    },
    "TritonRestarts": {
        f"nv_inference_request_success{{{_MODEL}}}": "5 9 0 4 8 0 3 0 2 5+1x50",
        f'up{{job="triton",{_AT}}}': "1x60",
    },
}
#: What goes well: busy, with some that clients have cancelled.
QUIET = {
    f'up{{job="triton",{_AT}}}': "1x60",
    f"nv_inference_request_success{{{_MODEL}}}": "0+100x60",
    f'nv_inference_request_failure{{{_MODEL},reason="CANCELED"}}': "0+50x60",
    f'nv_inference_request_failure{{{_MODEL},reason="BACKEND"}}': "0+1x60",
    f"nv_inference_queue_duration_us{{{_MODEL}}}": "0+1000000x60",
    f'nv_trt_llm_request_metrics{{{_ENGINE},request_type="waiting"}}': "0 5 0 5 0x56",
    f'nv_trt_llm_kv_cache_block_metrics{{{_ENGINE},kv_cache_block_type="used"}}': "90x60",
    f'nv_trt_llm_kv_cache_block_metrics{{{_ENGINE},kv_cache_block_type="max"}}': "100x60",
    f'nv_gpu_memory_used_bytes{{{_AT},gpu_uuid="g"}}': "92x60",
    f'nv_gpu_memory_total_bytes{{{_AT},gpu_uuid="g"}}': "100x60",
}


def test_each_alert_is_raised_by_what_it_is_about_and_by_nothing_else(tmp_path: Path) -> None:
    assert set(RAISING) == {alert.name for alert in ALERTS}
    (tmp_path / "rules.yml").write_text(files([])["rules.yml"])
    tests = [_test(QUIET, dict.fromkeys(RAISING, 0))]
    tests += [_test(series, {name: 1}) for name, series in RAISING.items()]
    (tmp_path / "test.yml").write_text(
        yaml.safe_dump({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests})
    )
    assert "SUCCESS" in promtool("test", "rules", str(tmp_path / "test.yml"))


def _test(series: dict[str, str], raised: dict[str, int]) -> dict[str, Any]:
    """A test of promtool: how many alerts of each name there are after half an hour."""
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)',
                "eval_time": "30m",
                "exp_samples": [{"value": number}],
            }
            for name, number in raised.items()
        ],
    }


def test_a_texts_placeholders_are_labels_that_the_expression_keeps() -> None:
    for rule in rules()["groups"][0]["rules"]:
        text = json.dumps(rule["annotations"])
        labels = set(re.findall(r"\$labels\.(\w+)", text))
        assert labels <= {"host", "instance", "model", "gpu_uuid"}


def test_a_real_triton_serves_what_is_said_of_every_triton(deployed: Deployment) -> None:
    with urllib.request.urlopen(f"{deployed.metrics}/metrics", timeout=30) as answer:
        served = set(re.findall(r"^# TYPE (\w+) ", answer.read().decode(), re.MULTILINE))
    assert {*TRITON, *ENGINE} <= served, {*TRITON, *ENGINE} - served
