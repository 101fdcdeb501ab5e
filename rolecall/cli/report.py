"""``report`` and ``runs``: what has happened, read from the logs of the runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import invoke

from rolecall.cli.flags import Flags
from rolecall.cli.program import RolecallTask
from rolecall.cli.project import Project, reported
from rolecall.cli.tasks import task
from rolecall.errors import ConfigError, RolecallError

if TYPE_CHECKING:
    from rolecall.output.runlog import PastRun


def report_tasks(project: Project) -> list[RolecallTask]:
    """The tasks that look back."""
    return [_report_task(project), _runs_task(project)]


def _report_task(project: Project) -> RolecallTask:
    @task(
        positional="run",
        help={
            "run": "An id or its beginning, last, -2 (the one before the last), or a .jsonl file.",
            "out": "The file to write; else .rolecall/reports/RUN.html.",
            "open": "Show it in the browser.",
        },
        examples={
            "": "the newest run",
            "-2 --out before.html": "the one before the last, into a file",
        },
    )
    def report(_: invoke.Context, run: str = "", out: str = "", open: bool = False) -> None:  # noqa: A002
        """Write an HTML page about a run: what happened, when, and why."""
        with reported(project.state):
            path = write_report(project, run, out)
            if path.is_file():
                print(path)
            if open:
                _show(path)

    return report


def _runs_task(project: Project) -> RolecallTask:
    @task(
        help={
            "json": "As JSON, one run a line.",
            "hosts": "Only runs on any of these hosts: a pattern of the inventory, or names.",
            "n": "How many, the newest first.",
        },
        examples={
            "": "the latest twenty",
            "--hosts gpu-1 -n 5": "the latest five on one host",
        },
    )
    def runs(_: invoke.Context, json: bool = False, hosts: str = "", n: int = 20) -> None:
        """List the runs on record, the newest first."""
        with reported(project.state, json=json):
            list_runs(project, hosts, n, json=json)

    return runs


def write_report(project: Project, wanted: str, out: str) -> Path:
    """Write the report of a run, for this user alone; returns its path.

    Raises:
        ConfigError: there is no such run.
        RolecallError: the file cannot be written.
    """
    from rolecall.report.find import comparable, find_run
    from rolecall.report.page import page
    from rolecall.report.read import read_run

    folder = project.state / "runs"
    run = read_run(find_run(folder, wanted))
    text = page(run, comparable(folder, run))
    path = Path(out).expanduser() if out else project.state / "reports" / f"{run.path.stem}.html"
    if path.is_dir():
        path = path / f"{run.path.stem}.html"
    real = path.resolve()  # what a link leads to; the link stays one
    beside = real.with_name(f".{real.name}.{os.getpid()}")
    try:
        if path.exists() and not path.is_file():
            # A pipe, a terminal, /dev/null: nothing may take its place.
            path.write_text(text, encoding="utf-8")
            return path
        if not out:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        with os.fdopen(os.open(beside, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(beside, real)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise RolecallError(
            f"{path} cannot be written: {error.strerror}", "name another file with --out"
        ) from error
    return path


def _show(path: Path) -> None:
    import webbrowser

    if not webbrowser.open(path.resolve().as_uri()):
        raise RolecallError("no browser can be started here", f"open {path} with one")


def list_runs(project: Project, hosts: str, number: int, *, json: bool) -> None:
    """Print the runs on record, those on ``hosts`` if any are named.

    Raises:
        ConfigError: the number is none.
    """
    import shutil
    from json import dumps

    from rolecall.output.runlog import runs
    from rolecall.output.text import Charset
    from rolecall.report.listing import as_data, table

    if number < 1:
        raise ConfigError(f"-n {number}: at least one run")
    folder = project.state / "runs"
    meant = _matching(project, hosts)
    found = [run for run in runs(folder) if not hosts or meant(run)][:number]
    if json:
        for run in found:
            print(dumps(as_data(run)))
        return
    if not found:
        where = f" on {hosts}" if hosts else ""
        print(f"no run{where} is on record in {folder}; ./inv deploy makes one")
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 1000
    for line in table(found, Charset.of(sys.stdout.encoding), width):
        print(line)


def _matching(project: Project, pattern: str) -> Callable[[PastRun], bool]:
    """Whether a run was on any host that is meant: a pattern of the inventory, or names.

    A host that the inventory has no more is found by its name.
    """
    from fnmatch import fnmatchcase

    parts = [part.strip() for part in pattern.split(",") if part.strip()]
    known: set[str] = set()
    with suppress(RolecallError):
        known.update(project.inventory(Flags()).match(pattern))
    return lambda run: any(
        host in known or any(fnmatchcase(host, part) for part in parts) for host in run.hosts
    )
