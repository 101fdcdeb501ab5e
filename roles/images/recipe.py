"""What an image of a recipe is made from: the settings of a group of the inventory say it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rolecall.api import ConfigError, Facts, Host, Observed
from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from roles.python.role import environments
from roles.runtime import role as runtimes
from roles.runtime.settings import Runtime

Folder = Literal["cpu", "gpu"]

#: Where a Dockerfile names the image that it is built on unless another is asked for.
_BASE = re.compile(r"^ARG BASE=(\S+)$", re.MULTILINE)

#: What every image has: what fetches models, and what speaks OpenAI's API.
_ALWAYS = ("tools", "front")

_REFERENCE = re.compile(r"[a-z0-9][\w.:/@-]*")


@dataclass(frozen=True)
class Recipe:
    """What is built for a group.

    Attributes:
        folder: of docker/, with the Dockerfile.
        base: the reference of the image that it is built on.
        packages: the name of a lock of docker/gpu/locks, or empty.
        environments: the names of the locks of roles/python/locks that it has environments of.
        engine: what builds it, ``docker`` or ``podman``.
        client: the program that speaks to it.
    """

    name: str
    folder: Folder
    base: str
    packages: str
    environments: tuple[str, ...]
    engine: str
    client: str


def read(project: Project, name: str, flags: Flags, base: str = "", engine: str = "") -> Recipe:
    """The recipe of a group; ``base`` and ``engine`` go before its settings.

    Raises:
        ConfigError: there is no such group, or its settings are wrong.
    """
    host = _host(project, name, flags)
    settings = host.settings(Runtime)
    folder: Folder = "cpu" if settings.kind == "environment" else "gpu"
    if folder == "cpu":
        usual = _python_image(project.root / "docker" / folder / "Dockerfile")
    else:
        usual = runtimes.triton_image(host)
    reference = base or settings.base_image or usual
    if not _REFERENCE.fullmatch(reference):
        raise ConfigError(
            f"{reference!r} is no name of a container image",
            "write name:tag or name@sha256:…, in lower case",
        )
    chosen = engine or _engine(settings)
    if chosen not in {"docker", "podman"}:
        raise ConfigError(f"--engine {chosen!r} is neither docker nor podman")
    return Recipe(
        name,
        folder,
        reference,
        settings.image_packages if folder == "gpu" else "",
        tuple(sorted({*environments(host), *_ALWAYS})),
        chosen,
        str(Path(settings.client).expanduser()) if settings.client else chosen,
    )


def _python_image(dockerfile: Path) -> str:
    if not dockerfile.is_file():
        raise ConfigError(
            f"there is no {dockerfile}, which images are built from",
            "run this in a complete copy of the project",
        )
    named = _BASE.search(dockerfile.read_text())
    if not named:
        raise ConfigError(f"{dockerfile} has no line ARG BASE=…", "name the base there, or --base")
    return named[1]


def inventory_folder(project: Project, flags: Flags) -> Path:
    """Where the inventory's ``group_vars`` are."""
    path = Path(flags.inventory) if flags.inventory else project.root / "inventory"
    return path if path.is_dir() else path.parent


def _host(project: Project, name: str, flags: Flags) -> Host:
    """A host of the group of which nothing but its settings is known."""
    from rolecall.inventory.variables import variable_layers
    from rolecall.settings import Override, resolve

    folder = inventory_folder(project, flags) / "group_vars"
    own = variable_layers(folder, name) if re.fullmatch(r"[A-Za-z_]\w*", name) else []
    if not own:
        known = sorted({path.stem for path in folder.glob("*")} - {"all"})
        raise ConfigError(
            f"there is no recipe {name!r}: {folder} has no variables of such a group",
            f"recipes: {', '.join(known)}",
        )
    layers = [*variable_layers(folder, "all"), *own]
    overrides = [Override.parse(text) for text in flags.set]
    resolved = resolve(project.setting_types(), layers, overrides)
    return Host(
        "image",
        Facts.parse(Observed.parse("state_dir=/data/rolecall")),
        {role: value.settings for role, value in resolved.items()},
    )


def _engine(settings: Runtime) -> str:
    from shutil import which

    if settings.engine != "auto":
        return settings.engine
    docker = which("docker") and Path("/var/run/docker.sock").exists()
    return "docker" if docker or not which("podman") else "podman"
