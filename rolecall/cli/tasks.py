"""The tasks that every project has: converge, plan, why, settings, destroy, test."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import invoke
from invoke.exceptions import Exit

from rolecall.cli.flags import HELP, SHORT, Flags, from_arguments
from rolecall.cli.helping import About
from rolecall.cli.program import RolecallTask
from rolecall.cli.project import After, Project, reported
from rolecall.errors import ConfigError, RolecallError

TaskFactory = Callable[[Callable[..., Any]], RolecallTask]


def task(
    positional: str = "",
    help: dict[str, str] | None = None,  # noqa: A002
    examples: Mapping[str, str] | None = None,
    ends: Mapping[int, str] | None = None,
) -> TaskFactory:
    """Invoke's ``@task`` with our short flags and an optional positional.

    ``examples`` are what is typed behind ``./inv TASK``, with what that does; ``ends`` are exit
    statuses that mean something else than usual. Both are shown by ``--help``.
    """

    def decorate(body: Callable[..., Any]) -> RolecallTask:
        parameters = body.__code__.co_varnames[: body.__code__.co_argcount]
        known = {**HELP, **(help or {})}
        return RolecallTask(
            body,
            positional=[],
            optional_positional=positional,
            iterable=[name for name in ("set",) if name in parameters],
            help={name: known[name] for name in parameters if name in known},
            short={name: flag for name, flag in SHORT.items() if name in parameters},
            about=About(examples or {}, ends or {}),
        )

    return decorate


def converge_task(
    project: Project,
    name: str,
    doc: str,
    roles: Sequence[str] | None = None,
    after: After | None = None,
    always: Flags = Flags(),  # noqa: B008 - frozen
    examples: Mapping[str, str] | None = None,
) -> RolecallTask:
    """A task that converges roles, with all the options of a run.

    ``always`` are options that hold whatever the user says: ``plan`` is ``deploy`` with check
    and diff.
    """

    def body(
        _: invoke.Context,
        check: bool = False,
        diff: bool = False,
        tags: str = "",
        skip_tags: str = "",
        set: Sequence[str] = (),  # noqa: A002
        hosts: str = "",
        inventory: str = "",
        json: bool = False,
        verbose: bool = False,
        lock_wait: str = "0",
        detailed_exitcode: bool = False,
        verify_hashes: bool = False,
        force_conflicts: bool = False,
        delete_data: bool = False,
        forks: int = 10,
        serial: str = "",
        max_fail: int = -1,
        canary: str = "",
    ) -> None:
        given = from_arguments(locals())
        flags = replace(given, check=given.check or always.check, diff=given.diff or always.diff)
        with reported(project.state, json=json):
            status = project.converge(name, flags, roles=roles, after=after)
        if status:
            raise Exit(code=status)

    body.__name__ = name
    body.__doc__ = doc
    shown = examples or {
        "": "on this machine",
        "--hosts gpu --check": "what would change on the hosts of group gpu",
    }
    return task(examples=shown, ends=_ENDS)(body)


#: What the options of a run add to its exit statuses.
_ENDS = {
    1: "a resource failed, or a host could not be reached",
    2: "the command line, the inventory or a setting is wrong; with --detailed-exitcode also: "
    "something changed or would change",
}


def plan_task(project: Project) -> RolecallTask:
    """``plan``: ``deploy --check --diff``."""
    return converge_task(
        project,
        "plan",
        "Show what deploy would change, and why; nothing is written.",
        always=Flags(check=True, diff=True),
        examples={
            "--hosts gpu": "all hosts of the group gpu",
            "--set engine.max_batch_size=8": "what this setting would change",
        },
    )


def role_tasks(project: Project, docs: dict[str, str]) -> list[RolecallTask]:
    """One task for each role."""
    return [converge_task(project, name, doc, roles=[name]) for name, doc in docs.items()]


def drift_task(project: Project) -> RolecallTask:
    """``drift``: what is not as it is declared."""

    @task(
        help={"verbose": "Show values uncut, and every field of a thing that is gone."},
        examples={
            "--hosts all": "look at every host; without a terminal, silent if nothing differs",
            "--hosts gpu --json": "one object a line, for programs",
        },
        ends={
            0: "nothing differs",
            1: "a host could not be asked, or the inventory or a setting is wrong; what was "
            "found elsewhere is told all the same",
            2: "something differs, or the command line is wrong",
        },
    )
    def drift(
        _: invoke.Context,
        tags: str = "",
        skip_tags: str = "",
        set: Sequence[str] = (),  # noqa: A002
        hosts: str = "",
        inventory: str = "",
        json: bool = False,
        verbose: bool = False,
        verify_hashes: bool = False,
        forks: int = 10,
    ) -> None:
        """List what differs from what is declared, and who changed it."""
        from rolecall.cli.drift import drift as run

        flags = from_arguments(locals())
        with reported(project.state, json=json):
            try:
                status = run(project, flags)
            except ConfigError as error:  # 2 says that something differs
                raise RolecallError(error.message, error.hint) from error
        if status:
            raise Exit(code=status)

    return drift


def why_task(project: Project) -> RolecallTask:
    """``why RESOURCE``: the probe, what it answered, what is desired, and the last change."""

    @task(
        positional="resource",
        help={"resource": "An id, such as file:/etc/hosts."},
        examples={
            "tree:repo": "why plan would change the model repository, or would not",
            "service:triton --hosts gpu-1": "the same of the server on another host",
        },
    )
    def why(
        _: invoke.Context,
        resource: str = "",
        hosts: str = "",
        inventory: str = "",
        set: Sequence[str] = (),  # noqa: A002
    ) -> None:
        """Explain one resource: what was asked, found, desired, changed."""
        from rolecall.cli.explain import explain

        with reported(project.state):
            explain(project, resource, from_arguments(locals()))

    return why


def settings_task(project: Project) -> RolecallTask:
    """``settings [ROLE]``: every setting, its type, default and origin."""

    @task(
        positional="role",
        help={"role": "Only this role."},
        examples={
            "engine": "the settings of one role, with their meaning",
            "--hosts gpu-1": "all settings, as they are for another host",
        },
    )
    def settings(
        _: invoke.Context,
        role: str = "",
        hosts: str = "",
        inventory: str = "",
        set: Sequence[str] = (),  # noqa: A002
    ) -> None:
        """List every setting: type, value, default, and its origin."""
        from rolecall.cli.show_settings import show_settings

        with reported(project.state):
            show_settings(project, role, from_arguments(locals()))

    return settings


def inventory_task(project: Project) -> RolecallTask:
    """``inventory``: hosts, groups and variables, as ``ansible-inventory`` prints them."""

    @task(
        positional="group",
        help={
            "list": "Everything, as JSON. The default.",
            "host": "The variables of one host, as JSON.",
            "graph": "The tree of groups and hosts.",
            "group": "With --graph: only below this group.",
        },
        examples={
            "--graph": "the tree of groups and hosts",
            "--host gpu-1": "what one host's variables come to",
        },
    )
    def inventory(
        _: invoke.Context,
        group: str = "",
        list: bool = False,  # noqa: A002
        host: str = "",
        graph: bool = False,
        inventory: str = "",
    ) -> None:
        """Show hosts, groups and variables, as ansible-inventory does."""
        from rolecall.cli.inventory import show_inventory

        with reported(project.state):
            if list + bool(host) + graph > 1:
                raise ConfigError("--list, --host and --graph exclude each other")
            show_inventory(project, Flags(inventory=inventory), host=host, graph=graph, group=group)

    return inventory


def destroy_task(project: Project) -> RolecallTask:
    """``destroy``: remove exactly what was made."""

    @task(
        help={"yes": "Do not ask."},
        examples={
            "--check": "what would be removed from this machine",
            "--yes --hosts gpu-1": "remove it from another host without asking",
        },
    )
    def destroy(
        _: invoke.Context,
        yes: bool = False,
        check: bool = False,
        delete_data: bool = False,
        hosts: str = "",
        inventory: str = "",
        set: Sequence[str] = (),  # noqa: A002
        json: bool = False,
        verbose: bool = False,
        lock_wait: str = "0",
    ) -> None:
        """Remove exactly what deploy made, after showing it and asking."""
        from rolecall.cli.destroy import destroy as run

        flags = from_arguments(locals())
        with reported(project.state, json=json):
            status = run(project, flags, ask=not yes)
        if status:
            raise Exit(code=status)

    return destroy


def test_task(project: Project) -> RolecallTask:
    """``test``: the project's whole test suite."""

    @task(
        help={
            "only": "Only this file or folder.",
            "k": "Only tests that match, as pytest -k.",
            "quick": "Without what takes long: tests of clusters, images and bundles.",
        },
        examples={
            "--only tests/unit": "the tests of one folder",
            "-k lock --quick": "the tests of a name, without clusters, images and bundles",
        },
        ends={1: "a test failed, or a check of style or types", 2: "the command line is wrong"},
    )
    def test(_: invoke.Context, only: str = "", k: str = "", quick: bool = False) -> None:
        """Run the whole test suite: style, types and every test."""
        script = str(project.root / "tools" / "test.sh")
        words = ["/bin/sh", script, only, k, "quick" if quick else ""]
        if subprocess.call(words, cwd=project.root):
            raise Exit(code=1)

    return test
