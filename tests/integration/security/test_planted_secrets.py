"""A full run over SSH with planted secrets: none turns up where somebody else may look."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.project import copy_project
from tests.integration.deployed import ROOT, Completed, Deployment, free_ports, run_inv
from tests.integration.security.planted import Planted, allowed_only
from tests.rig.hub import Hub, Repo, hub
from tests.rig.sshd import USER, Sshd

#: What a full run is, in order; each ends with status 0.
STEPS = (
    ("plan", "--diff", "--verbose"),
    ("plan", "--json"),
    ("deploy", "--diff", "--verbose"),
    ("deploy", "--json"),
    ("drift", "--json"),
    ("status", "--json"),
    ("settings",),
    ("inventory", "--list"),
    ("logs", "--lines", "1000"),
    ("logs", "--openai", "--lines", "1000"),
    ("verify",),
)


@pytest.fixture(scope="module")
def planted() -> Planted:
    names = ("PLANTED_API_KEY", "PLANTED_HUB_TOKEN", "PLANTED_SUDO")
    return Planted({name: f"pl4nted-{secrets.token_hex(12)}" for name in names})


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = Sshd(tmp_path_factory.mktemp("sshd")).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def model_hub(deployed: Deployment, planted: Planted) -> Iterator[Hub]:
    """A hub whose one model only those with the token may have."""
    token = planted.secrets["PLANTED_HUB_TOKEN"]
    with hub() as made:
        made.tokens.add(token)
        repo = made.repos["team/small"] = Repo(private=True, readers={token})
        (model,) = deployed.home.glob("artifacts/model/current/*.gguf")
        repo.commit({model.name: model.read_bytes(), "config.json": b"{}"})
        yield made


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, sshd: Sshd, model_hub: Hub) -> Path:
    """A copy of the project whose one host, over SSH, has every secret there is."""
    made = copy_project(tmp_path_factory.mktemp("secrets") / "project")
    shutil.copytree(ROOT / "verify", made / "verify", dirs_exist_ok=True)
    http, grpc, metrics, openai = free_ports(4)
    host = {
        "ansible_host": "127.0.0.1",
        "ansible_port": sshd.port,
        "ansible_user": USER,
        "ansible_ssh_private_key_file": str(sshd.key),
        "ansible_become_password": "SUDO",
        "rolecall": {"home": str(made.parent / "home")},
        "model": {"source": "hf://team/small", "endpoint": model_hub.url, "token": "TOKEN"},
        "server": {
            "http_port": http,
            "grpc_port": grpc,
            "metrics_port": metrics,
            "openai": True,
            "openai_port": openai,
            "api_key": "KEY",
        },
    }
    text = json.dumps(host)
    for name, variable in {"SUDO": "SUDO", "TOKEN": "HUB_TOKEN", "KEY": "API_KEY"}.items():
        text = text.replace(f'"{name}"', f"!env PLANTED_{variable}")
    (made / "inventory" / "hosts.yaml").write_text(
        f"all:\n  children:\n    cpu:\n      hosts:\n        gpu-1: {text}\n"
    )
    (made / "inventory" / "known_hosts").write_text(sshd.known_hosts.read_text())
    return made


def type_(project: Path, planted: Planted, *words: str) -> Completed:
    hosts = [] if words[0] in ("inventory", "report") else ["--hosts", "gpu-1"]
    return run_inv(
        *words,
        *hosts,
        env=planted.environment,
        cwd=project,
        inv=project / "inv",
        timeout=600,
    )


def test_no_secret_turns_up_anywhere(project: Path, planted: Planted, sshd: Sshd) -> None:
    home = project.parent / "home"
    said: dict[str, str] = {}
    with planted.watched_processes() as shown:
        try:
            for step in STEPS:
                done = type_(project, planted, *step)
                said[" ".join(step)] = done.stdout + done.stderr
                assert done.returncode == 0, (
                    planted.within(done.stdout) or done.stdout + done.stderr
                )
                if step[0] == "deploy":
                    key = home / "services" / "openai" / "api_key"
                    assert key.is_file() and key.stat().st_mode & 0o7777 == 0o600
                    allowed_only(planted.files(home, digest=False), [key])
                    # What the front runs with: a digest, by which a changed key is noticed.
                    allowed_only(planted.files(home), [key, key.with_name("running")])
            why = type_(project, planted, "why", f"file:{key}")
            said["why"] = why.stdout + why.stderr
            asked = _ask(project, planted)
            assert asked == ("401", "200")
        finally:
            done = type_(project, planted, "destroy", "--yes", "--verbose")
            said["destroy"] = done.stdout + done.stderr
        assert done.returncode == 0, said["destroy"]
        report = type_(project, planted, "report")
        said["report"] = report.stdout + report.stderr
        assert report.returncode == 0, said["report"]
    assert shown == []
    assert {step: planted.within(text) for step, text in said.items() if planted.within(text)} == {}
    assert list((project / ".rolecall" / "runs").iterdir())
    assert list((project / ".rolecall" / "reports").iterdir())
    assert planted.files(project, sshd.folder) == {}
    assert not home.exists()


_CURL = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "@-")


def _ask(project: Path, planted: Planted) -> tuple[str, str]:
    """The status of a question without the key and with it, which no command line shows."""
    text = (project / "inventory" / "hosts.yaml").read_text()
    port = text.partition('"openai_port": ')[2].partition(",")[0]
    statuses = []
    for header in ("", f"Authorization: Bearer {planted.secrets['PLANTED_API_KEY']}\n"):
        done = subprocess.run(
            [*_CURL, f"http://127.0.0.1:{port}/v1/models"],
            input=header,
            capture_output=True,
            text=True,
            timeout=60,
        )
        statuses.append(done.stdout)
    return statuses[0], statuses[1]


def test_what_looks_for_secrets_finds_one(planted: Planted, tmp_path: Path) -> None:
    """The net has no hole: each form of a secret is found, and a process that shows one."""
    secret = planted.secrets["PLANTED_API_KEY"]
    (tmp_path / "a").write_text(f"before {secret} after")
    assert planted.files(tmp_path) == {tmp_path / "a": (tmp_path / "a").stat().st_mode & 0o7777}
    with pytest.raises(AssertionError):
        allowed_only(planted.files(tmp_path), [tmp_path / "a"])
    with planted.watched_processes() as shown:
        subprocess.run(["sleep", "0.5", "0", "0"], timeout=30, env={"KEY": secret})
        subprocess.run(["sh", "-c", f"sleep 0.5; : {secret}"], timeout=30)
        held = {**planted.environment, "PATH": "/usr/bin:/bin"}
        subprocess.run(["sleep", "0.5"], timeout=30, env=held)
    kinds = sorted(one.partition(":")[0].partition(" of ")[0] for one in shown)
    assert kinds == ["command line", "environment"]
