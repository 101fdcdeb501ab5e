"""``./inv serve --openai``: become the OpenAI front, beside a container that runs Triton."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from rolecall.api import ConfigError, Host
from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.session import Session
from rolecall.shell_run import Opened
from rolecall.targets.local import LocalTarget
from roles.images.serve import others
from roles.python.role import front_python
from roles.server import openai
from roles.server.openai.service import arguments, tokenizers
from roles.server.service import own_url
from roles.server.settings import Server

#: The folder with the package ``front``: an image has the project, and needs no copy elsewhere.
_PROGRAM = Path(openai.__file__).parent

#: Where the front looks for the key (front/__main__.py).
_KEY = "ROLECALL_API_KEY"


def speak(project: Project, flags: Flags) -> NoReturn:
    """Go on as the front. Nothing is changed, and Triton need not be there yet.

    Raises:
        ConfigError: the settings ask for no front, the host is not this machine, or the image
            has no front.
    """
    plans = project.host_plans(replace(flags, forks=1))
    if len(plans) != 1 or not isinstance(plans[0].target, LocalTarget):
        raise ConfigError("serve is for one host, and that is the machine it runs on")
    hosts, _ = project.ask(replace(flags, forks=1), _host)
    (host,) = hosts.values()
    settings = host.settings(Server)
    if not settings.has_front:
        raise ConfigError(
            "server.openai is not set, or server.openai_kind is triton: there is no front to run",
            "set server.openai, or leave --openai out",
        )
    python = front_python(host)
    if not os.access(python, os.X_OK):
        raise ConfigError(
            f"this image has no OpenAI front: there is no {python}",
            "./inv image --build makes one that has it; set k8s.image to its name",
        )
    said = arguments(host, settings.address, own_url(host), tokenizers(host))
    command = [python, "-B", "-m", "front", *said]
    sys.stdout.flush()
    sys.stderr.flush()
    os.chdir(_PROGRAM)
    os.execve(python, command, _environment(settings))


def _host(_: Session, opened: Opened) -> Host:
    return opened.host


def _environment(settings: Server) -> dict[str, str]:
    """That of this process, with the key where the front looks for it, and no other secret."""
    key = settings.api_key
    return {**others(os.environ), **({_KEY: key.get_secret_value()} if key else {})}
