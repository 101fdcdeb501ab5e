"""The OpenAI API as a part of a deployment: started, restarted, guarded by a key, refused."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.integration.deployed import ROOT, events, failure, outcomes

from .client import wait_until
from .openai_rig import MODEL, FrontDeployment, client, status

KEY = "sk-planted-0123456789abcdef"
OTHER_KEY = "sk-another-fedcba9876543210"
KEYED = ("--set", "server.api_key=!env ROLECALL_TEST_KEY")


def deploy(found: FrontDeployment, *further: str, key: str = "") -> dict[str, str]:
    """Deploy; the outcomes."""
    env = {"ROLECALL_TEST_KEY": key} if key else {}
    done = found.inv("deploy", "--json", *further, *(KEYED if key else ()), env=env)
    assert done.returncode == 0, failure(done)
    assert KEY not in done.stdout + done.stderr
    return outcomes(done)


@pytest.fixture
def keyed(openai_front: FrontDeployment) -> Iterator[FrontDeployment]:
    """The API with a key; afterwards without one again."""
    deploy(openai_front, key=KEY)
    yield openai_front
    said = deploy(openai_front)
    assert said["service:openai"] == "changed"
    assert not (openai_front.directory / "api_key").exists()


def test_a_second_deploy_changes_nothing(openai_front: FrontDeployment) -> None:
    started = openai_front.pid
    for task in ("plan", "deploy"):
        done = openai_front.inv(task, "--json")
        assert set(outcomes(done).values()) <= {"ok", "skipped"}
    assert openai_front.pid == started


def test_deploy_and_status_say_where_it_is(openai_front: FrontDeployment) -> None:
    url = f"{openai_front.url}/v1"
    done = openai_front.inv("deploy")
    assert f"OpenAI API at {url}, model {MODEL}" in done.stdout
    done = openai_front.inv("status")
    assert done.returncode == 0 and f"model {MODEL} at {url}, asks for no key" in done.stdout
    said = events(openai_front.inv("status", "--json"))[0]["openai"]
    assert said == {"url": url, "model": MODEL, "key": False, "state": "running", "ready": True}


def test_a_key_is_asked_for_and_appears_nowhere(keyed: FrontDeployment) -> None:
    assert status(keyed.url) == 200  # whoever watches it has none
    for wrong in ("sk-wrong", KEY[:-1], f"{KEY}x"):
        with pytest.raises(openai.AuthenticationError) as refused:
            client(keyed.url, wrong).models.list()
        assert refused.value.code == "invalid_api_key"
        assert wrong not in str(refused.value)
    assert client(keyed.url, KEY).models.list().data[0].id == MODEL
    assert "asks for a key" in keyed.inv("status", *KEYED, env={"ROLECALL_TEST_KEY": KEY}).stdout
    _appears_only_in_its_file(keyed)


def _appears_only_in_its_file(found: FrontDeployment) -> None:
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                text = (process / name).read_bytes()
            except OSError:
                continue
            assert KEY.encode() not in text or process.name == str(os.getpid()), process
    home = found.deployment.home
    parts = ("services", "journal", "jobs", "logs", "locks", "state")
    files = [path for part in parts for path in (home / part).rglob("*")]
    files += [path for path in home.glob("*") if path.is_file()]
    files += [path for part in ("runs", "facts") for path in (ROOT / ".rolecall" / part).glob("*")]
    holding = [path for path in files if path.is_file() and KEY in _text(path)]
    assert holding == [found.directory / "api_key"]
    assert stat.S_IMODE(holding[0].stat().st_mode) == 0o600


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def test_another_key_restarts_it_and_nothing_else(keyed: FrontDeployment) -> None:
    started, triton = keyed.pid, keyed.deployment.server_pid
    assert deploy(keyed, key=KEY)["service:openai"] == "ok"
    said = deploy(keyed, key=OTHER_KEY)
    assert said["service:openai"] == "changed" and said["service:triton"] == "ok"
    assert keyed.pid != started and keyed.deployment.server_pid == triton
    assert client(keyed.url, OTHER_KEY).models.list()
    with pytest.raises(openai.AuthenticationError):
        client(keyed.url, KEY).models.list()


def test_a_port_that_is_taken_is_told_before_anything(openai_front: FrontDeployment) -> None:
    started = openai_front.pid
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        values = ("server.openai=true", f"server.openai_port={port}", "server.log_keep=2")
        sets = [part for value in values for part in ("--set", value)]
        done = openai_front.deployment.inv("deploy", "--json", *sets)
    said = outcomes(done)
    assert done.returncode == 1 and "changed" not in said.values()
    assert said["service:openai"] == "failed"
    assert f"127.0.0.1:{port}" in failure(done)
    assert openai_front.pid == started and status(openai_front.url) == 200


def test_one_that_is_killed_is_started_again(openai_front: FrontDeployment) -> None:
    killed = openai_front.pid
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: status(openai_front.url) == 200, 60)
    assert openai_front.pid != killed


def test_stop_and_start_are_for_both(openai_front: FrontDeployment) -> None:
    done = openai_front.inv("stop", "--json")
    assert outcomes(done) == {"service:openai": "changed", "service:triton": "changed"}
    assert status(openai_front.url) == 0
    assert openai_front.inv("status").returncode == 1
    done = openai_front.inv("start", "--json")
    assert done.returncode == 0, failure(done)
    assert status(openai_front.url) == 200


def test_its_log_is_shown(openai_front: FrontDeployment) -> None:
    client(openai_front.url).models.list()
    done = openai_front.inv("logs", "--openai", "--lines", "5")
    assert done.returncode == 0 and "GET /v1/models" in done.stdout


def test_a_server_that_others_can_reach_is_warned_of(openai_front: FrontDeployment) -> None:
    to_all = ("--set", "server.address=0.0.0.0")
    said = json.dumps(events(openai_front.inv("plan", "--json", *to_all)))
    assert "asks for no key: set server.api_key" in said
    assert "Triton's ports" in said and "ask nobody for a key" in said
    done = openai_front.inv("status", *to_all)
    assert "asks for no key: set server.api_key" in done.stdout
