"""What a real run on two hosts tells, and what it never tells."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rolecall.report.model import UNFINISHED
from rolecall.report.page import page
from rolecall.report.read import read_run
from tests.integration.report.conftest import Ran
from tests.integration.report.runs import HOSTS, PLANTED, run

ROOT = Path(__file__).parents[3]


def events(path: Path, *kinds: str) -> list[dict[str, object]]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [event for event in found if not kinds or event["event"] in kinds]


def test_no_secret_reaches_an_event_or_the_page(ran: Ran) -> None:
    """Neither as a setting, nor from what a step prints, nor from a file that is written."""
    for path in (ran.first, ran.second, ran.page(ran.folder / "report.html")):
        text = path.read_text()
        assert "********" in text
        assert [what for what, secret in PLANTED.items() if secret in text] == []


def test_every_exchange_that_begins_ends_with_its_time(ran: Ran) -> None:
    for host in HOSTS:
        told = [e for e in events(ran.second, "exchange", "exchange_done") if e["host"] == host]
        assert [event["event"] for event in told] == ["exchange", "exchange_done"] * (
            len(told) // 2
        )
        assert [event["number"] for event in told[::2]] == list(range(1, len(told) // 2 + 1))
        assert told[0]["what"] == "open"
        assert told[-2]["what"] == "apply"
        assert "texts" in [event.get("what") for event in told]
        (done,) = [e for e in events(ran.second, "host_done") if e["host"] == host]
        assert done["exchanges"] == len(told) // 2


def test_the_host_that_comes_second_waits_for_the_lock(ran: Ran) -> None:
    """The two hosts are one machine with one lock."""
    begins, ends = events(ran.second, "waiting"), events(ran.second, "wait_done")
    assert len(begins) == len(ends) >= 1
    begin, end = begins[0], ends[0]
    assert (begin["what"], end["what"], begin["host"]) == ("lock", "lock", end["host"])
    assert f"{begin['host']} is locked by " in str(begin["reason"])
    waits = [span for span in ran.read().parts[str(begin["host"])].spans if span.kind == "wait"]
    assert sum(span.seconds for span in waits) > 0.5


def test_a_job_is_told_and_its_progress_is_kept(ran: Ran) -> None:
    told = events(ran.second, "job")
    assert {(event["host"], event["id"], event["attached"]) for event in told} == {
        (host, "act:engine", False) for host in HOSTS
    }
    for part in ran.read().parts.values():
        (engine,) = [step for step in part.steps if step.id == "act:engine"]
        assert engine.job is not None
        assert engine.job.name.startswith("engine-gpu-")
        assert [point.done for point in engine.progress][-1] == 24
        assert engine.output == ["layers: 24", "engine written"]


def test_facts_and_settings_are_told(ran: Ran) -> None:
    told = ran.read()
    assert {part.facts["arch"] for part in told.parts.values()} == {os.uname().machine}
    runner, model = told.settings
    assert (runner.role, model.role, model.hosts) == ("rolecall", "model", HOSTS)
    values = {one.name: (one.value, one.source) for one in model.values}
    assert values["max_batch_size"] == ("16", "--set")
    assert values["source"] == ("hf://example/tiny", "default")
    assert values["token"][0] == "********"
    assert values["token"][1].endswith("group_vars/all.yaml:2")
    assert values["mirror"][0] == "https://me:********@hub.example/simple"


def test_what_failed_is_told_with_its_last_words(ran: Ran) -> None:
    told = ran.read()
    assert (told.outcome, told.parts["gpu-1"].outcome) == ("failed", "changed")
    (failed,) = [step for step in told.parts["gpu-2"].steps if step.bad]
    assert failed.reason.split("\n") == [
        "its apply ended with status 3",
        "starting on port 8000",
        "I0101 loading model with key ********",
        "E0101 failed to bind: Address already in use",
    ]
    skipped = [step for step in told.parts["gpu-2"].steps if step.outcome == "skipped"]
    assert skipped[-1].reason == "after act:server"


def test_a_controller_that_is_killed_leaves_a_log_that_can_be_reported(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.integration.report.runs import run; "
        "run(Path(sys.argv[1]), hosts=['gpu-1'])"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT)
    try:
        deadline = time.monotonic() + 60
        while not (logs := list((tmp_path / "runs").glob("*.jsonl"))) or (
            '"progress"' not in logs[0].read_text()
        ):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    told = read_run(logs[0])
    assert (told.ended, told.outcome) == ("unknown", UNFINISHED)
    (step,) = [step for step in told.parts["gpu-1"].steps if step.outcome == UNFINISHED]
    assert step.id == "act:weights"
    assert "act:weights" in page(told)
    again = read_run(run(tmp_path, hosts=["gpu-1"]))  # attaches to the job, or finds it done
    assert again.outcome == "changed"


@pytest.mark.parametrize("check", [True, False])
def test_a_run_that_finds_everything_as_it_should_be_is_one_exchange(
    tmp_path: Path, check: bool
) -> None:
    run(tmp_path, hosts=["gpu-1"])
    told = read_run(run(tmp_path, hosts=["gpu-1"], check=check))
    assert told.outcome == "ok"
    assert [span.label for span in told.parts["gpu-1"].spans if span.kind == "exchange"] == ["open"]
