"""Run pytest over the checks of the chosen roles and hosts."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.errors import ConfigError
from rolecall.verify.chosen import Chosen
from rolecall.verify.plugin import Given

_INI = Path(__file__).with_name("pytest.ini")

#: Processes that ask hosts; each has one connection at a time, and costs 80 MB.
PROCESSES = 8

#: The exit status of a process that Ctrl-C has ended, as a shell tells it.
INTERRUPTED = 130


def verify(project: Project, flags: Flags, *, junit: str = "", options: str = "") -> int:
    """Run the checks; returns the exit status: 0 if all hold, 1 if one does not.

    Args:
        project: whose roles and inventory.
        flags: which hosts, which settings, which roles.
        junit: a file for the results, in JUnit's XML; empty for none.
        options: further options of pytest, as a shell would read them.

    Raises:
        ConfigError: a setting or an option is wrong, or there is no check.
    """
    try:
        further = shlex.split(options)
    except ValueError as error:
        raise ConfigError(
            f"--pytest {options!r} cannot be read: {error}", "quote it as a shell wants it"
        ) from error
    chosen = Chosen(project, flags)
    files = list(chosen.files())
    if not files:
        raise ConfigError(
            "the chosen roles have no checks for the chosen hosts",
            "a role's checks stand in roles/ROLE/verify.py, your own in verify/test_*.py",
        )
    sys.path.insert(0, str(project.root))
    status = pytest.main(
        [*_arguments(chosen, flags, junit), *further, *map(str, files)],
        plugins=[Given(chosen)],
    )
    return _exit_status(int(status), flags)


def _arguments(chosen: Chosen, flags: Flags, junit: str) -> list[str]:
    hosts = chosen.names()
    arguments = [
        "-c",
        str(_INI),
        f"--rootdir={chosen.root}",
        "-p",
        "rolecall.verify.plugin",
        "--no-header",
        "-rfE",
        # A file that cannot be read is an error of its own, and hides no other check.
        "--continue-on-collection-errors",
    ]
    if junit:
        arguments.append(f"--junitxml={junit}")
    if len(hosts) > 1:
        processes = min(len(hosts), flags.forks, PROCESSES)
        return [*arguments, "-n", str(processes), "--dist", "loadscope"]
    # A password for sudo may have to be asked for: the terminal stays the user's.
    return [*arguments, "-p", "no:xdist", "-v", "--capture=no"]


def _exit_status(status: int, flags: Flags) -> int:
    match status:
        case pytest.ExitCode.INTERRUPTED:
            return INTERRUPTED
        case pytest.ExitCode.NO_TESTS_COLLECTED:
            raise ConfigError(
                "no check was chosen", "leave out -k, or see ./inv verify --pytest --collect-only"
            )
        case pytest.ExitCode.USAGE_ERROR:
            raise ConfigError(
                "pytest does not understand what --pytest holds",
                "such as --pytest '-k engine -x'; .venv/bin/pytest --help lists its options",
            )
    return 0 if status == pytest.ExitCode.OK else 1
