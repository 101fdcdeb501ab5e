"""``./inv serve``: converge, then become Triton. What a container's first process does."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

from rolecall.api import ConfigError, Host, Resource, Skip
from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.events import Stream
from rolecall.run import Declare, HostPlan, HostResult, declare
from rolecall.targets.local import LocalTarget
from roles.runtime.settings import Runtime
from roles.server.role import launcher, service


@dataclass
class _Found:
    """The host that was converged."""

    host: Host | None = None

    def __call__(self, result: HostResult, stream: Stream, flags: Flags, changed: bool) -> None:
        self.host = result.host


def serve(project: Project, flags: Flags, *, prepare: bool = False) -> int:
    """Converge all but the server, and go on as it; returns only where that failed.

    With ``prepare``, end there: a server that starts on the same volume then changes nothing.

    Raises:
        ConfigError: the host is not this machine, or Triton would run in a container.
    """
    plans = _local(project, flags)
    if not prepare and not os.access("/tmp", os.W_OK):
        raise ConfigError(
            "/tmp cannot be written, and Triton's python backend needs it",
            "mount a tmpfs or an emptyDir at /tmp",
        )
    found = _Found()
    status = project.converge(
        "prepare" if prepare else "serve", flags, what=_declared(project), plans=plans, after=found
    )
    if prepare:
        return status
    if status == 0 and found.host is not None:
        _become(found.host)
    return status or 1


def _local(project: Project, flags: Flags) -> list[HostPlan]:
    plans = project.host_plans(replace(flags, forks=1))
    if len(plans) != 1 or not isinstance(plans[0].target, LocalTarget):
        raise ConfigError(
            "serve is for one host, and that is the machine it runs on",
            "./inv deploy serves on hosts of the inventory",
        )
    return plans


def _declared(project: Project) -> Declare:
    roles = declare(project.load_roles([name for name in project.roles if name != "server"]))

    def resources(host: Host) -> list[tuple[str, Resource | Skip]]:
        if host.settings(Runtime).kind == "container":
            raise ConfigError(
                "serve starts Triton itself, and runtime.kind is container",
                "./inv deploy runs it in a container",
            )
        return [*roles(host), ("server", launcher(host))]

    return resources


def _become(host: Host) -> NoReturn:
    wanted = service(host)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvpe(wanted.command[0], wanted.command, {**others(os.environ), **dict(wanted.env)})


def others(environment: Mapping[str, str]) -> dict[str, str]:
    """What of the environment is not for Rolecall: no secret of a setting goes further."""
    return {name: text for name, text in environment.items() if not name.startswith("ROLECALL_")}
