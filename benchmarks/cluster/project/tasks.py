"""The tasks of the benchmark's project."""

from pathlib import Path

from invoke import Collection

from rolecall.cli import tasks
from rolecall.cli.project import Project

project = Project(Path(__file__).parent, ("objects",))

ns = Collection(tasks.converge_task(project, "deploy", "Converge everything."))
