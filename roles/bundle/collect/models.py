"""Models of hubs: fetched here as a host would fetch them, then taken into the bundle."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.errors import RolecallError
from rolecall.run import HostPlan
from rolecall.settings import RunnerSettings, Settings
from rolecall.targets.local import LocalTarget
from roles.bundle.collect.folder import Folder
from roles.bundle.needs import Fetched
from roles.bundle.places import model_folder
from roles.bundle.settings import Bundle
from roles.python.settings import Python


def collect(
    folder: Folder, need: Fetched, project: Project, settings: Mapping[str, Settings]
) -> list[str]:
    """Have the model in the folder.

    Raises:
        RolecallError: it could not be fetched; the run has said why.
    """
    home = project.state / "collected"
    here: dict[str, Settings] = {
        **settings,
        "rolecall": RunnerSettings(home=str(home)),
        "python": Python(lock="none"),
        "bundle": Bundle(),
    }
    plan = HostPlan(LocalTarget("here"), here)
    status = project.converge(
        "bundle",
        Flags(),
        what=lambda host: [("model", resource) for resource in need.make(host)],
        plans=[plan],
    )
    made = home / "artifacts" / need.artifact.title / need.artifact.digest
    if status or not made.is_dir():
        raise RolecallError(
            f"{need.what} could not be fetched",
            "what went wrong is told above; what has come is kept: run this again",
        )
    return [_take(folder, need, made, path) for path in sorted(_files(made))]


def _files(made: Path) -> list[Path]:
    found = [path for path in made.rglob("*") if path.is_file()]
    return [path for path in found if path.relative_to(made).parts[0] != ".rolecall"]


def _take(folder: Folder, need: Fetched, made: Path, file: Path) -> str:
    path = f"{model_folder(need.artifact)}/{file.relative_to(made).as_posix()}"
    if path in folder.files:
        return path
    new = folder.staging("model") / "file"
    try:
        os.link(file.resolve(), new)
    except OSError:  # another file system
        shutil.copyfile(file, new)
    return folder.add(new, path, need.source)
