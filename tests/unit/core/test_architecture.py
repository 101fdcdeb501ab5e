import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MODULES = sorted((ROOT / "rolecall").rglob("*.py"))

#: Imported where they are used, and by no command that does not use them.
HEAVY = (
    "pydantic",
    "rich",
    "yaml",
    "jinja2",
    "httpx",
    "fabric",
    "kubernetes",
    "huggingface_hub",
)


def imports(path):
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide what is imported"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def offenders(folder, forbidden, allowed=()):
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in MODULES
        if path.is_relative_to(ROOT / folder)
        for name in imports(path)
        if name.startswith(tuple(f"{module}." for module in forbidden)) or name in forbidden
        if not name.startswith(tuple(allowed))
    ]


def test_the_runner_knows_no_role():
    assert len(MODULES) > 40
    assert offenders("rolecall", ["roles", "tasks", "tests"]) == []


def test_the_loop_knows_neither_output_nor_command_line():
    assert offenders("rolecall/loop", ["rolecall.output", "rolecall.cli", "rolecall.run"]) == []


def test_resources_know_nothing_of_the_run_but_jobs():
    above = ["loop", "run", "session", "events", "output", "cli", "inventory", "journal"]
    found = offenders("rolecall/resources", [f"rolecall.{name}" for name in above])
    # A supervised service names its processes with the same shell text as locks and jobs.
    shared = "rolecall/resources/service/texts.py imports rolecall.loop"
    assert [line for line in found if not line.startswith(shared)] == []


def test_output_hears_events_and_asks_nobody():
    above = ["loop", "run", "session", "resources", "cli", "targets", "inventory"]
    assert offenders("rolecall/output", [f"rolecall.{name}" for name in above]) == []


def test_a_report_rests_on_logs_alone():
    above = ["loop", "run", "session", "resources", "cli", "targets", "inventory", "cluster"]
    assert offenders("rolecall/report", [f"rolecall.{name}" for name in above]) == []


def test_only_the_command_line_knows_invoke_and_only_the_ssh_target_knows_fabric():
    files = [path for path in MODULES if not path.is_relative_to(ROOT / "rolecall/cli")]
    users = [
        path.name
        for path in files
        if any(name.split(".")[0] in {"invoke", "fabric"} for name in imports(path))
    ]
    assert set(users) <= {"__main__.py", "ssh.py"}


def test_the_contract_of_a_resource_rests_on_nothing_but_quoting():
    assert set(imports(ROOT / "rolecall/resource.py")) <= {
        *("__future__", "__future__.annotations", "re", "abc", "abc.ABC", "abc.abstractmethod"),
        *("collections.abc", "collections.abc.Callable", "collections.abc.Mapping"),
        *("dataclasses", "dataclasses.dataclass", "dataclasses.field"),
        *("typing", "typing.TYPE_CHECKING", "typing.ClassVar"),
        *("rolecall.shell", "rolecall.shell.escape", "rolecall.shell.unescape"),
        *("rolecall.targets", "rolecall.targets.Target"),  # for the type checker alone
    }


def imported_by(*arguments):
    """The top-level modules that Python imports when run with ``arguments``, and its output."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().split(".")[0] for line in lines}, done.stdout


@pytest.mark.parametrize("arguments", [["--list"], ["deploy", "--help"]])
def test_listing_the_tasks_imports_nothing_heavy(arguments):
    imported, shown = imported_by("-m", "rolecall", "--search-root", str(ROOT), *arguments)
    assert "deploy" in shown
    by_invoke, _ = imported_by("-c", "import invoke")  # its own YAML uses yaml's C part
    assert "invoke" in imported & by_invoke
    assert (imported - by_invoke) & set(HEAVY) == set()
