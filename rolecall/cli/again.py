"""Which hosts a run leaves to be done: a file of the project, and ``--hosts @failed``."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rolecall.errors import ConfigError

if TYPE_CHECKING:
    from rolecall.events import Event, Recap
    from rolecall.inventory import Inventory

#: What stands for the hosts that the last run left to be done.
FAILED = "@failed"

# A file in a pattern, @PATH: a part of its own, with or without a sign in front.
_FILE = re.compile(r"(?:^|(?<=[,:\s&!]))(@[^,:\s\[]+)")


class Remaining:
    """Listens to a run and keeps, in a file, the hosts that it leaves to be done.

    These are the hosts that failed or could not be reached, whose part was cut short, or which
    had no turn. The file names all hosts while the run lasts: of a controller that dies, none
    is known to be done. After a run that leaves nothing there is no file. Check mode leaves
    the file as it is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = False
        self._hosts: tuple[str, ...] = ()
        self._over: set[str] = set()
        self._failed: set[str] = set()
        self.task = ""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts still to be done, in the order of the run."""
        return tuple(host for host in self._hosts if host not in self._over or host in self._failed)

    @property
    def is_fleet(self) -> bool:
        """Whether the run is on several hosts and is more than a prediction."""
        return self._kept and len(self._hosts) > 1

    def handle(self, event: Event) -> None:
        """Take note of who is done and who is not."""
        from rolecall.events import HostDone, ResourceDone, RunStarted

        if isinstance(event, RunStarted):
            self.task, self._hosts, self._kept = event.task, event.hosts, not event.check
            self._write()
        elif isinstance(event, HostDone):
            self._over.add(event.host)
            if event.error:
                self._failed.add(event.host)
        elif isinstance(event, ResourceDone) and event.outcome in ("failed", "unreachable"):
            self._failed.add(event.host)

    def finish(self, recap: Recap) -> None:
        """Write the file, or remove it."""
        self._write()

    def _write(self) -> None:
        """Write atomically. What cannot be written is no reason to stop a run."""
        if not self._kept:
            return
        with suppress(OSError):
            if not self.hosts:
                self._path.unlink(missing_ok=True)
                return
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
            beside.write_text("".join(f"{host}\n" for host in self.hosts), encoding="utf-8")
            os.replace(beside, self._path)


def with_files(inventory: Inventory, pattern: str, failed: Path) -> Inventory:
    """The inventory, with each ``@FILE`` of a pattern as a group of that name.

    So a file is a part like any other: ``@failed:&gpu``, ``all:!@done.txt``.

    Raises:
        ConfigError: a file is missing, names no host, or names one that the inventory does not
            have.
    """
    from rolecall.inventory.model import Group

    groups = dict(inventory.groups)
    for name in _FILE.findall(pattern):
        hosts = read_hosts(name, failed)
        for host in hosts:
            if host not in inventory.hosts and host not in inventory.implicit:
                hint = f"./fab -H {name} takes it" if name == FAILED else inventory.known()
                raise ConfigError(f"{name} names {host!r}, which the inventory does not have", hint)
        groups[name] = Group(name, hosts=dict.fromkeys(hosts))
    return replace(inventory, groups=groups)


def read_hosts(name: str, failed: Path) -> Sequence[str]:
    """The hosts of ``@FILE``, one a line; ``#`` begins a comment.

    Raises:
        ConfigError: there is no such file, or no host in it.
    """
    path = failed if name == FAILED else Path(name[1:]).expanduser()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        if name == FAILED:
            raise ConfigError(
                "--hosts @failed: the last run left no host to be done",
                "name the hosts, or all",
            ) from None
        raise ConfigError(
            f"--hosts {name}: there is no file {path}", "a file with one host a line is meant"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--hosts {name}: {path} cannot be read: {error}") from error
    hosts = [text for line in lines if (text := line.partition("#")[0].strip())]
    if not hosts:
        raise ConfigError(f"--hosts {name}: {path} names no host")
    return hosts
