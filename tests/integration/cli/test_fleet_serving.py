"""A canary of a real deployment: the others wait for an answer of its model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.deployed import Deployment, events


@pytest.fixture
def pair(deployed: Deployment, tmp_path: Path) -> Deployment:
    """The deployment under two names; each run on them is short, as nothing is to be done."""
    hosts = {name: {"ansible_connection": "local"} for name in ("canary", "other")}
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"cpu": {"hosts": hosts}}))
    return Deployment(deployed.home, deployed.ports, inventory)


def test_the_others_wait_until_the_model_of_the_canary_has_answered(pair: Deployment) -> None:
    done = pair.inv("deploy", "--tags", "system", "--hosts", "cpu", "--canary", "canary", "--json")
    assert done.returncode == 0, done.stdout
    said = [event for event in events(done) if event["event"] in {"connecting", "message"}]
    assert [event["host"] for event in said[:2]] == ["canary", "canary"]
    assert said[1]["text"].startswith("What is machine learning?\n")
    assert len(said[1]["text"].split()) > 10
    others = [number for number, event in enumerate(said) if event["host"] == "other"]
    assert min(others) > 1


def test_nothing_follows_a_canary_whose_model_does_not_answer(pair: Deployment) -> None:
    assert pair.inv("stop", "--hosts", "canary").returncode == 0
    try:
        done = pair.inv(
            "deploy", "--tags", "system", "--hosts", "cpu", "--canary", "canary", "--json"
        )
    finally:
        assert pair.inv("start", "--hosts", "canary").returncode == 0
    assert done.returncode == 1
    assert {event["host"] for event in events(done) if event["event"] == "connecting"} == {"canary"}
    (other,) = [
        event for event in events(done) if event.get("host") == "other" and "outcome" in event
    ]
    assert other["outcome"] == "skipped" and "the canary canary failed" in other["reason"]
