"""``trust``: look at the key a host shows, and accept it for the runs to come."""

from __future__ import annotations

import sys
from pathlib import Path

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.errors import ConfigError, RolecallError
from rolecall.targets.ssh import SshTarget


def trust(project: Project, flags: Flags, *, ask: bool) -> None:
    """Show each chosen host's key and, once confirmed, add it to the user's known_hosts.

    Raises:
        ConfigError: confirmation is needed and there is no terminal to ask on.
    """
    path = Path("~/.ssh/known_hosts").expanduser()
    for plan in project.host_plans(flags):
        name = plan.target.name
        if not isinstance(plan.target, SshTarget):
            print(f"{name} is this machine: there is no key to accept")
            continue
        key = plan.target.shown_key()
        print(f"{name} is {key.name} and shows {key.kind} {key.fingerprint}")
        if ask:
            if not sys.stdin.isatty():
                raise ConfigError(
                    "there is no terminal to confirm the fingerprint on",
                    f"compare it with the host's own, then ./inv trust --hosts {name} --yes",
                )
            if input("Is that the host's own key? [y/N] ").strip().lower() not in {"y", "yes"}:
                print("not accepted")
                continue
        try:
            key.accept(path)
        except OSError as error:
            raise RolecallError(f"{path} cannot be written: {error.strerror}") from error
        print(f"accepted, in {path}")
