"""``destroy``: show what would be removed, ask, remove it, and forget."""

from __future__ import annotations

import sys
from dataclasses import replace

from rolecall import journal
from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.cluster.destroy import cluster_removals
from rolecall.destroy import FORGET, removals
from rolecall.errors import ConfigError
from rolecall.resource import Resource, Skip
from rolecall.role import Host
from rolecall.run import Declare


def destroy(project: Project, flags: Flags, *, ask: bool) -> int:
    """Remove what the journals of the chosen hosts list; returns the exit status.

    Raises:
        ConfigError: confirmation is needed and there is no terminal to ask on.
    """
    what, count = _what(project, flags)
    if flags.check:
        return project.converge("destroy", replace(flags, tags="", skip_tags=""), what=what)
    if ask and count:
        if not sys.stdin.isatty():
            show, remove = (
                project.command(flags, "destroy", option, hosts=flags.hosts)
                for option in ("--check", "--yes")
            )
            raise ConfigError(
                f"destroy would remove {count} things and cannot ask: there is no terminal",
                f"{show} shows them, {remove} removes them",
            )
        project.converge("destroy", replace(flags, check=True), what=what)
        if input(f"Remove these {count} things? [y/N] ").strip().lower() not in {"y", "yes"}:
            print("Nothing was removed.")
            return 0
    status = project.converge("destroy", flags, what=what)
    if not count and not flags.json:
        print("Nothing to remove: Rolecall has made nothing there.")
    if status == 0:
        _forget(project, flags)
    return status


def _what(project: Project, flags: Flags) -> tuple[Declare, int]:
    """What is to be removed on each host, from its journal, and how many things in all.

    A host that cannot be asked has nothing to remove; the run that follows reports it.
    """
    found, _ = project.ask(
        flags,
        lambda session, _: removals(journal.fetch(session)),
        on_cluster=cluster_removals,
        cluster_roles=True,
    )

    def what(host: Host) -> list[tuple[str, Resource | Skip]]:
        return list(found.get(host.name, []))

    return what, sum(len(items) for items in found.values())


def _forget(project: Project, flags: Flags) -> None:
    """Let each host drop its journal and jobs when its lock is given up."""
    for session, _ in project.look(flags, what=lambda _: [], machines=True):
        list(session.exchange(FORGET))
