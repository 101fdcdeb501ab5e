"""``bench``: put every level on every chosen host, keep and show what came."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.errors import RolecallError
from rolecall.masks import settings_of
from rolecall.run import HostPlan, new_run_id
from rolecall.shell import words
from roles.bench import counters, plot
from roles.bench.compare import check, compare
from roles.bench.load import Run
from roles.bench.results import Result, find, keep
from roles.bench.statistics import Figures, figures
from roles.bench.subject import Subject, subject
from roles.bench.table import lines
from roles.bench.workload import Workload
from roles.server import questions

#: The exit status of a process that Ctrl-C has ended, as a shell tells it.
INTERRUPTED = 130

#: Why a test may stop before its end.
_INTERRUPTED = "interrupted"
_GONE = "the server does not answer any more"

#: The roles whose settings tell what was served.
_TOLD = ("engine", "model", "repo", "runtime", "server")


@dataclass(frozen=True)
class Wanted:
    """What a user asks for besides the workload: to compare with, to draw, and how to tell."""

    against: str = ""
    picture: str = ""
    json: bool = False


def bench(project: Project, flags: Flags, workload: Workload, wanted: Wanted) -> int:
    """Test each chosen host, one after the other; returns the exit status.

    It is 1 where a request failed or one of several hosts could not be asked, 130 after Ctrl-C.

    Raises:
        RolecallError: nothing is served on the only host.
        ConfigError: an option is wrong, or the result to compare with is of another workload.
    """
    plot.check(wanted.picture)
    folder = project.state / "bench"
    plans = project.host_plans(flags)
    earlier = {
        plan.target.name: find(folder, wanted.against, plan.target.name)
        for plan in plans
        if wanted.against
    }
    for one in earlier.values():
        check(one, workload)
    run_id, files, status = new_run_id(), list[Path](), 0
    for plan in plans:
        try:
            result = _test(project, flags, plan, workload, run_id)
        except RolecallError as error:
            if len(plans) == 1:
                raise
            _not_asked(plan.target.name, error, wanted)
            status = 1
            continue
        if result.stopped == _INTERRUPTED and not result.levels:
            _say(f"{result.host}: interrupted before anything was measured", wanted)
            return INTERRUPTED
        files.append(keep(folder, result))
        _tell(result, files[-1], wanted)
        if wanted.against and result.levels:
            for line in compare(earlier[plan.target.name], result):
                _say(line, wanted)
        if result.stopped == _INTERRUPTED:
            return INTERRUPTED
        status |= any(level.errors or not level.requests for level in result.levels)
    if wanted.picture and files:
        _draw(project, files, wanted)
    return status


def _draw(project: Project, files: Sequence[Path], wanted: Wanted) -> None:
    if why := plot.plot(project.state, files, wanted.picture):
        drawing = words(map(str, ("python", plot.DRAW, wanted.picture, *files)))
        _say(f"no picture: {why}\n  next: with matplotlib, {drawing}", wanted)
    else:
        _say(f"drawn: {wanted.picture}", wanted)


def _test(
    project: Project, flags: Flags, plan: HostPlan, workload: Workload, run_id: str
) -> Result:
    """Go through the levels. After Ctrl-C, what there is."""
    measured: list[Figures] = []
    about: dict[str, str] = {}
    unit, stopped = "tokens", ""
    try:
        with subject(project, flags, plan, workload.api) as found:
            about, unit = found.about, found.lengths.unit
            for number, level in enumerate(workload.levels):
                run = Run(workload, level, number, found.asker, found.lengths)
                before: dict[str, dict[str, float]] = {}
                run.warm = partial(_count, found, before)
                with (
                    _progress(run),
                    counters.page(found.metrics) as page,
                    counters.watched(page) as engine,
                ):
                    try:
                        run.go()
                    finally:
                        if run.samples:
                            server = counters.between(before, _counters(found))
                            measured.append(figures(level.title, run.samples, server, engine))
                if run.gone or (run.unconnected and not _counters(found)):
                    stopped = _GONE
                    break
    except KeyboardInterrupt:
        stopped = _INTERRUPTED
    settings = {
        role: {name: value for name, value, _ in settings_of(resolved)}
        for role, resolved in plan.resolved.items()
        if role in _TOLD
    }
    return Result(
        run_id, plan.target.name, workload, unit, about, tuple(measured), stopped, settings
    )


def _count(found: Subject, counted: dict[str, dict[str, float]]) -> None:
    """Take down what the server has counted until now."""
    counted.update(_counters(found))


def _counters(found: Subject) -> dict[str, dict[str, float]]:
    """The server's counters; nothing where it is gone, which the requests tell by themselves."""
    if not found.metrics:
        return {}
    try:
        return counters.read(questions.metrics(found.metrics))
    except RolecallError:
        return {}


@contextmanager
def _progress(run: Run) -> Iterator[None]:
    """On a terminal, a bar that tells how far a level is."""
    if not (sys.stderr.isatty() and sys.stdout.isatty()):
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
    with Progress(
        *columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True
    ) as shown:
        count = run.workload.count(run.level)
        bar = shown.add_task(run.level.title, total=count or None, told="warming up")

        def heard(now: Run) -> None:
            failed = sum(bool(one.error) for one in now.samples)
            told = f"{len(now.samples)}{f' of {count}' if count else ''}"
            shown.update(
                bar,
                completed=len(now.samples),
                told=f"{told}{f', {failed} failed' if failed else ''}",
            )

        run.heard = heard
        yield


def _tell(result: Result, path: Path, wanted: Wanted) -> None:
    if wanted.json:
        said: dict[str, Any] = {"event": "bench", "file": str(path), **result.to_dict()}
        print(json.dumps(said))
        return
    for line in lines(result):
        print(line)
    print(f"kept: {path}")


def _not_asked(host: str, error: RolecallError, wanted: Wanted) -> None:
    """That a host is left out; the others are tested all the same."""
    if wanted.json:
        said = {"host": host, "reason": error.message, "hint": error.hint}
        print(json.dumps({"event": "not asked", **said}))
        return
    hint = f"\n  next: {error.hint}" if error.hint else ""
    print(f"{host} not tested: {error.message}{hint}", file=sys.stderr)


def _say(line: str, wanted: Wanted) -> None:
    print(line, file=sys.stderr if wanted.json else sys.stdout)
