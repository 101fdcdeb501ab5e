"""Load tests of a real model on a real Triton, small ones."""

import json
import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from xml.etree import ElementTree

import pytest

from roles.bench import counters
from tests.integration.deployed import INV, ROOT, TIMEOUT, Deployment, free_ports, run_inv
from tests.integration.serving.openai_rig import FrontDeployment

SMALL = ("--concurrency", "2", "--input", "20", "--output", "12", "--requests", "5")
OTHER = ("--concurrency", "2", "--input", "20", "--output", "13", "--warm-up", "1")


def served(deployment: Deployment) -> float:
    """How many requests the ensemble has answered, as the server counts them."""
    with urllib.request.urlopen(f"{deployment.metrics}/metrics", timeout=10) as answer:
        return counters.read(answer.read().decode())["ensemble"]["requests"]


def result(done: subprocess.CompletedProcess[str]) -> dict:
    return json.loads(done.stdout.splitlines()[0])


@pytest.fixture(scope="module")
def measured(deployed: Deployment) -> dict:
    """A load test; what the server counted meanwhile is in ``counted``."""
    before = served(deployed)
    done = deployed.inv("bench", *SMALL, "--warm-up", "1", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return {**result(done), "counted": served(deployed) - before}


def test_lengths_are_those_that_were_asked_for_and_the_server_counts_the_same(measured):
    (level,) = measured["levels"]
    assert (level["title"], level["requests"], level["errors"]) == ("2 at a time", 5, {})
    assert level["input_tokens"] == 20 and level["output_tokens"] == 12
    assert measured["unit"] == "tokens" and measured["counted"] == 6
    ensemble = next(one for one in level["server"] if one["model"] == "ensemble")
    assert ensemble["requests"] == 5, "the warm-up is not among them"


def test_times_belong_together(measured):
    (level,) = measured["levels"]
    first, whole = level["first_token"], level["whole"]
    assert 0 < first["p50"] < whole["p50"] <= whole["p90"] <= whole["p99"] <= level["seconds"]
    assert level["tokens_per_second"] == pytest.approx(12 * level["requests_per_second"])
    told = first["mean"] + 11 * level["between_tokens"]["mean"]
    assert told == pytest.approx(whole["mean"], rel=1e-6)
    engine = next(one for one in level["server"] if one["model"] == "tensorrt_llm")
    assert engine["compute"] > 0 and engine["queue"] >= 0


def test_the_result_is_kept_with_what_it_was_measured_on(measured):
    path = ROOT / ".rolecall" / "bench" / Path(measured["file"]).name
    assert path.stat().st_mode & 0o777 == 0o600
    kept = json.loads(path.read_text())
    assert kept == {name: measured[name] for name in kept}
    assert kept["about"]["cpus"] == str(os.cpu_count()) and kept["about"]["triton"]
    assert kept["settings"]["server"]["address"] == "127.0.0.1" and kept["meaning"]


def test_two_tests_are_compared_and_drawn(deployed, measured, tmp_path):
    picture = tmp_path / "bench.svg"
    done = deployed.inv(
        *("bench", *SMALL, "--warm-up", "1", "--against", measured["id"], "--plot", str(picture))
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"against {measured['id']}, as ratios" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines() if "kept:" not in line) <= 80 + len(
        str(picture)
    )
    if "no picture" in done.stdout:
        pytest.skip(f"matplotlib: {done.stdout.partition('no picture')[2].strip()}")
    root = ElementTree.parse(picture).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and len(list(root.iter())) > 100


def test_another_workload_is_refused_before_anything_is_asked(deployed, measured):
    before = served(deployed)
    done = deployed.inv("bench", *OTHER, "--against", measured["id"])
    assert done.returncode == 2
    assert "output_tokens is 13, and was 12" in done.stderr
    assert served(deployed) == before


def test_arrivals_at_a_rate(deployed):
    done = deployed.inv(
        *("bench", "--rate", "4", "--requests", "6", "--input", "8", "--output", "4", "--json")
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (level,) = result(done)["levels"]
    assert (level["title"], level["requests"]) == ("4/s", 6) and level["late"] < level["seconds"]


def test_the_openai_api_says_itself_how_many_tokens_there_were(openai_front: FrontDeployment):
    done = openai_front.inv("bench", *SMALL, "--api", "openai", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    (level,) = result(done)["levels"]
    assert level["output_tokens"] == 12 and level["requests"] == 5


def test_without_the_openai_api_it_says_how_to_get_it(deployed):
    done = deployed.inv("bench", "--api", "openai")
    assert done.returncode == 2 and "server.openai is off" in done.stderr


def begun(deployment: Deployment, *further: str) -> subprocess.Popen:
    """A load test under way: at least two requests were answered."""
    before = served(deployment)
    process = subprocess.Popen(
        [INV, "bench", *further, *deployment.options],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + TIMEOUT
    while served(deployment) < before + 4:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    return process


LONG = ("--concurrency", "2,4", "--input", "8", "--output", "12", "--duration", "600")


def test_an_interrupt_keeps_and_shows_what_was_measured(deployed):
    process = begun(deployed, *LONG)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130, out + err
    assert "interrupted: what stands here is what was measured until then" in out
    (path,) = [line.partition("kept: ")[2] for line in out.splitlines() if "kept: " in line]
    with open(path) as file:
        kept = json.load(file)
    assert kept["stopped"] == "interrupted" and kept["levels"][0]["requests"] >= 1


def test_an_interrupt_before_anything_was_measured_keeps_nothing(deployed):
    """Else the next test would be compared with it: --against last."""
    kept = ROOT / ".rolecall" / "bench"
    before = set(kept.glob("*"))
    warming = ("--input", "8", "--output", "8", "--warm-up", "2000", "--requests", "1")
    process = begun(deployed, *warming)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130, out + err
    assert "interrupted before anything was measured" in out
    assert set(kept.glob("*")) == before


def test_a_server_that_goes_away_is_told_with_its_failures(deployed):
    process = begun(deployed, *LONG)
    try:
        assert deployed.inv("stop").returncode == 0
        out, err = process.communicate(timeout=TIMEOUT)
    finally:
        assert deployed.inv("start").returncode == 0
    assert process.returncode == 1, out + err
    assert "the server does not answer any more" in out
    assert "2 at a time:" in out and "failed: connection" in out
    assert "4 at a time" not in out


def test_a_host_that_cannot_be_asked_hides_no_other(deployed, tmp_path):
    """The first of two hosts is not there."""
    (port,) = free_ports(1)
    gone = {"ansible_host": "127.0.0.1", "ansible_port": port, "ansible_user": "nobody"}
    hosts = {"gone": gone, "here": {"ansible_connection": "local"}}
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"cpu": {"hosts": hosts}}))
    chosen = ("--inventory", str(inventory), "--hosts", "gone,here")
    done = deployed.inv("bench", *SMALL, *chosen)
    assert done.returncode == 1
    assert "gone not tested: gone (nobody@127.0.0.1" in done.stderr and "next: " in done.stderr
    assert "here: triton API" in done.stdout
    told = deployed.inv("bench", *SMALL, *chosen, "--json")
    first, second = map(json.loads, told.stdout.splitlines())
    assert (first["event"], first["host"]) == ("not asked", "gone")
    assert (second["event"], second["host"]) == ("bench", "here")


def test_where_nothing_is_served_it_says_so(deployed):
    (port,) = free_ports(1)
    done = run_inv("bench", *SMALL, *deployed.options, "--set", f"server.http_port={port}")
    assert done.returncode == 1 and "no answer from" in done.stderr
