"""The tasks of the small project."""

from __future__ import annotations

from pathlib import Path

from invoke import Collection

from rolecall.cli import fleet, tasks
from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.errors import RolecallError
from rolecall.events import Message, Stream
from rolecall.run import HostResult

project = Project(Path(__file__).parent, ("mark",))


def ask(result: HostResult, stream: Stream, flags: Flags, changed: bool) -> None:
    """What a canary must pass: the host's own settings say whether it does."""
    assert result.host is not None
    if not result.host.all_settings["mark"].model_dump()["answers"]:
        raise RolecallError("it does not answer", "look at its log")
    stream.emit(Message(result.target.name, f"{result.target.name} answers", "good"))


ns = Collection()
for task in (
    tasks.converge_task(project, "deploy", "Converge everything.", after=ask),
    tasks.plan_task(project),
    tasks.why_task(project),
    tasks.destroy_task(project),
    *fleet.fleet_tasks(project),
):
    ns.add_task(task)
