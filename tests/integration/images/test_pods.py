"""The CPU image as the Job that prepares a volume, and as the pods that serve from it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.integration.deployed import ROOT
from tests.integration.images.pods import INVENTORY, Pods, config_map, contents, volume
from tests.integration.images.wheels import MODEL, download
from tests.rig.containers import Engine

SETTINGS = {
    **yaml.safe_load((ROOT / "inventory/group_vars/cpu.yaml").read_text()),
    **yaml.safe_load((ROOT / "docker/cpu/host.yaml").read_text()),
    "repo": {"link": "/data/served"},
}
SETTINGS["server"]["stop_timeout"] = 50
FILES = {
    "hosts.yaml": "all: {hosts: {localhost: {ansible_connection: local}}}\n",
    "group_vars/all.yaml": yaml.safe_dump(SETTINGS),
}
PREPARE = ("./inv", "serve", "--prepare", "--inventory", INVENTORY)
SERVE = ("./inv", "serve", "--inventory", INVENTORY)


@pytest.fixture(scope="module")
def pods(podman: Engine, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    folder: Path = tmp_path_factory.mktemp("pods")
    (folder / "inventory").mkdir()
    model = download([], MODEL)
    offline = ("--env=PIP_NO_INDEX=1", "--env=PIP_FIND_LINKS=/wheels")
    made = Pods(
        podman,
        image,
        volume(folder / "volume"),
        config_map(folder / "inventory", FILES),
        ("--volume", f"{model}:/wheels:ro", *offline),
    )
    yield made
    made.remove()


@pytest.fixture(scope="module")
def prepared(pods: Pods) -> Pods:
    """A volume on which a Job was stopped, a second killed; a third went on while a pod waited."""
    pods.start("stopped", *PREPARE)
    pods.until_said("stopped", "tree:engine-builder")
    began = time.monotonic()
    pods.podman("stop", "--time", "60", "stopped")
    assert time.monotonic() - began < 15
    assert pods.ended("stopped") == 130, pods.log("stopped")
    pods.start("killed", *PREPARE, "--json")
    pods.until_said("killed", '"event": "applying"')
    pods.podman("kill", "killed")
    pods.start("job", *PREPARE, "--json")
    pods.until_said("job", '"event": "applying"')
    pods.start("early", *SERVE)
    pods.until_said("early", "waiting: localhost is locked by")
    assert pods.ended("job") == 0, pods.log("job")
    return pods


def test_a_stopped_job_is_soon_over_and_the_next_one_goes_on(prepared: Pods) -> None:
    lines = [json.loads(line) for line in prepared.podman("logs", "job").stdout.splitlines()]
    outcomes = {line["id"]: line["outcome"] for line in lines if line["event"] == "resource"}
    assert outcomes["artifact:model"] == "ok", "what the stopped one had made is kept"
    waited = [line["what"] for line in lines if line["event"] == "waiting"]
    assert "lock" not in waited, "the lock of a killed one is nobody's"
    assert outcomes["artifact:engine"] == "changed"
    assert lines[-1]["event"] == "recap"
    assert lines[-1]["hosts"]["localhost"]["failed"] == 0


def test_a_pod_waits_for_the_job_and_then_serves(prepared: Pods) -> None:
    prepared.until_ready("early")
    assert "changed=0" in prepared.log("early")
    prepared.podman("rm", "--force", "--time", "0", "early")


def test_pods_that_start_on_a_prepared_volume_write_nothing(prepared: Pods) -> None:
    before = contents(prepared.volume)
    for name in ("first", "second"):
        prepared.start(name, *SERVE)
    for name in ("first", "second"):
        prepared.until_ready(name)
        assert "changed=0" in prepared.log(name)
    done = prepared.podman("exec", "first", *PREPARE, "--json")
    recap = json.loads(done.stdout.splitlines()[-1])
    assert recap["hosts"]["localhost"]["changed"] == 0
    assert contents(prepared.volume) == before


def test_a_prepared_volume_need_not_be_writable(prepared: Pods) -> None:
    pods = replace(prepared, mount="/data:ro")
    pods.start("reading", *SERVE)
    pods.until_ready("reading")
    assert "changed=0" in pods.log("reading")
    pods.podman("rm", "--force", "--time", "0", "reading")


def test_the_link_leads_to_the_repository_wherever_the_volume_is_mounted(prepared: Pods) -> None:
    link = prepared.volume / "served"
    assert not link.readlink().is_absolute()
    assert (link / "ensemble/config.pbtxt").is_file()


def test_metrics_are_for_others_and_count_what_waits(prepared: Pods) -> None:
    listing = prepared.podman("exec", "first", "cat", "/proc/net/tcp").stdout
    assert "00000000:1F42" in listing, "port 8002 on every address"
    script = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8002/metrics').read())"
    said = prepared.podman("exec", "first", "python3", "-c", script).stdout
    assert 'nv_trt_llm_request_metrics{model="tensorrt_llm",request_type="waiting"' in said


def test_what_is_in_flight_is_finished_at_a_stop(prepared: Pods) -> None:
    body = {"text_input": "Once", "max_tokens": 250, "min_length": 250, "bad_words": ""}
    asked = f"""
import json, urllib.request as u
body = {json.dumps({**body, "stop_words": "", "pad_id": 2, "end_id": 2})}
url = "http://127.0.0.1:8000/v2/models/ensemble/generate"
open("/tmp/asked", "w").close()
answer = u.urlopen(u.Request(url, json.dumps(body).encode()), timeout=60)
open("/data/answered", "w").write(answer.read().decode())
"""
    prepared.podman("exec", "--detach", "second", "python3", "-c", asked)
    answered = prepared.volume / "answered"
    prepared.podman("exec", "second", "sh", "-c", "until [ -e /tmp/asked ]; do sleep 0.1; done")
    time.sleep(0.3)
    assert not answered.exists()
    prepared.podman("stop", "--time", "60", "second")
    assert prepared.ended("second") == 0, prepared.log("second")
    assert json.loads(answered.read_text())["text_output"]


def test_at_another_path_only_the_repository_is_made_anew(prepared: Pods) -> None:
    pods = replace(prepared, mount="/elsewhere")
    home = ("--set", "rolecall.home=/elsewhere/rolecall")
    pods.start("moved", *SERVE, *home, "--set", "repo.link=/elsewhere/served")
    pods.until_ready("moved")
    said = pods.log("moved")
    assert "changed   tree:repo" in said and "ok        artifact:engine" in said
    pods.podman("rm", "--force", "--time", "0", "moved")


def test_a_directory_in_the_link_s_place_is_left_alone(prepared: Pods) -> None:
    link = prepared.volume / "served"
    link.unlink()
    link.mkdir()
    prepared.start("refused", *PREPARE)
    assert prepared.ended("refused") == 1
    assert "it is a directory, no link" in prepared.log("refused")
    assert link.is_dir()
