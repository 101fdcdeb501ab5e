"""docs/write-a-role.md, taken at its word."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "write-a-role.md"
EXAMPLE = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples():
    return dict(EXAMPLE.findall(DOCUMENT.read_text()))


@pytest.fixture
def project(tmp_path):
    """The document's project, in a folder of its own."""
    for name, text in examples().items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for package in ("roles", "roles/greeting"):
        (tmp_path / "project" / package / "__init__.py").touch()
    (tmp_path / "home").mkdir()
    return tmp_path / "project"


def inv(project, *arguments):
    """Run the command line as ./inv does."""
    environment = {**os.environ, "HOME": str(project.parent / "home"), "NO_COLOR": "1"}
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(
        [sys.executable, "-m", "rolecall", "--search-root", project, *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def recap(project, *arguments):
    done = inv(project, *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])["hosts"]["localhost"]


def motd(project):
    return (project.parent / "home" / ".rolecall" / "greeting" / "motd").read_text()


def test_the_role_has_ten_lines():
    lines = [line for line in examples()["roles/greeting/role.py"].splitlines() if line.strip()]
    assert len(lines) <= 10


def test_the_role_converges_and_then_changes_nothing(project):
    assert recap(project, "greeting", "--check")["changed"] == 2
    assert not (project.parent / "home" / ".rolecall").exists()
    assert recap(project, "greeting")["changed"] == 2
    assert motd(project) == f"Good morning from {os.uname().machine}\n"
    again = recap(project, "greeting")
    assert (again["ok"], again["changed"], again["failed"]) == (2, 0, 0)


def test_the_commands_of_the_document_do_what_they_say(project):
    recap(project, "deploy", "--tags", "greeting")
    assert recap(project, "greeting", "--set", "greeting.text=Hi")["changed"] == 1
    assert motd(project).startswith("Hi from ")
    shown = inv(project, "settings", "greeting").stdout
    assert "greeting.text = Good morning" in shown
    assert "What to say." in shown
    assert "group_vars/all.yaml:2" in shown
    assert recap(project, "destroy", "--yes")["failed"] == 0
    assert not (project.parent / "home" / ".rolecall" / "greeting").exists()


def test_a_wrong_setting_is_refused_as_the_document_shows(project):
    path = project / "inventory" / "group_vars" / "all.yaml"
    path.write_text("greeting:\n  txet: Hi\n")
    done = inv(project, "greeting")
    assert done.returncode == 2
    said = done.stdout + done.stderr
    assert "group_vars/all.yaml:2: there is no setting greeting.txet" in " ".join(said.split())
    assert "did you mean text?" in said


def test_the_test_of_the_role_passes(project):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_greeting.py"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": f"{project}:{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_every_link_of_the_document_leads_somewhere():
    for target in re.findall(r"\]\(([^)#]+)", DOCUMENT.read_text()):
        assert (DOCUMENT.parent / target).exists(), target
