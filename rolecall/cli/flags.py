"""The options that every converging task has, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from rolecall.cli.login import Login
from rolecall.errors import ConfigError

HELP = {
    "check": "Predict what would change; write nothing.",
    "diff": "Show what changes line by line.",
    "tags": "Only these roles, separated by commas.",
    "skip_tags": "All roles but these, separated by commas.",
    "set": "Override a setting: --set engine.max_batch_size=8 (any number of times).",
    "hosts": "A pattern of the inventory, @failed (left by the last run) or @FILE; else localhost.",
    "inventory": "Another inventory: a file, a folder, a program, or hosts as 'a,b'.",
    "json": "One event a line, as JSON.",
    "verbose": "Show all output of what is applied, and every resource.",
    "lock_wait": "How long to wait for another run on the host: 30s, 10m, 1h; 0: not at all.",
    "forks": "How many hosts at the same time.",
    "serial": "Hosts of one wave, as 5 or 25%; the next begins when it is over; else all at once.",
    "max_fail": "Begin no further host once more than this many have failed; else all begin.",
    "canary": "This host goes first and must answer; only then do the others begin.",
    "verify_hashes": "Read every file of artifacts in full, and repair those that were damaged.",
    "force_conflicts": "In a cluster: take over fields that someone else has set.",
    "delete_data": "In a cluster: volumes that are no longer wanted are deleted too.",
    "detailed_exitcode": "End with 2 when something changed or would change, else 0.",
}

SHORT = {"verbose": "v", "follow": "f"}


@dataclass(frozen=True)
class Flags:
    """The options of one invocation.

    ``fab_hosts`` are the names of ``fab -H``, which the inventory need not know.
    """

    check: bool = False
    diff: bool = False
    tags: str = ""
    skip_tags: str = ""
    set: Sequence[str] = ()
    hosts: str = ""
    inventory: str = ""
    json: bool = False
    verbose: bool = False
    lock_wait: str = "0"
    detailed_exitcode: bool = False
    verify_hashes: bool = False
    force_conflicts: bool = False
    delete_data: bool = False
    forks: int = 10
    serial: str = ""
    max_fail: int = -1
    canary: str = ""
    fab_hosts: tuple[str, ...] = ()
    login: Login = field(default_factory=Login)

    def command(self, task: str, *arguments: str, hosts: str, set: Sequence[str] = ()) -> str:  # noqa: A002
        """The command of ``task`` for ``hosts``, which are reached as in this invocation.

        ``set`` are the settings to override, of which none may be a secret: the command is shown.
        """
        from rolecall.shell import words

        if self.fab_hosts:
            login = self.login
            config = ["-S", str(login.ssh_config)] if login.ssh_config else []
            keys = [word for key in login.key_files for word in ("-i", key)]
            command = ["./fab", *config, *keys, "-H", hosts, task, *arguments]
        else:
            command = ["./inv", task, *arguments, *(["--hosts", hosts] if hosts else [])]
        command += ["--inventory", self.inventory] if self.inventory else []
        return words([*command, *(word for given in set for word in ("--set", given))])

    @property
    def lock_wait_seconds(self) -> float:
        """``lock_wait`` in seconds.

        Raises:
            ConfigError: it is not a duration.
        """
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", self.lock_wait.strip())
        if not match:
            raise ConfigError(f"--lock-wait {self.lock_wait!r} is not a duration like 30s or 10m")
        return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def choose_roles(names: Sequence[str], flags: Flags) -> list[str]:
    """The roles that ``--tags`` and ``--skip-tags`` leave, in the order of ``names``.

    Raises:
        ConfigError: a tag is not a role.
    """
    wanted = _split(flags.tags, names, "--tags")
    unwanted = _split(flags.skip_tags, names, "--skip-tags")
    chosen = [name for name in names if (not wanted or name in wanted) and name not in unwanted]
    if not chosen:
        raise ConfigError("--tags and --skip-tags leave no role", f"roles: {', '.join(names)}")
    return chosen


def _split(text: str, names: Sequence[str], option: str) -> set[str]:
    from rolecall.settings import nearest

    tags = {tag.strip() for tag in text.split(",") if tag.strip()}
    if text and not tags:
        raise ConfigError(f"{option} {text!r} names no role", f"roles: {', '.join(names)}")
    for tag in sorted(tags - set(names)):
        raise ConfigError(f"{option} {tag}: there is no role {tag}", nearest(tag, names))
    return tags


def from_arguments(arguments: dict[str, Any]) -> Flags:
    """The flags among a task's arguments, and fabric's, where ``fab`` runs the task."""
    known = {known.name for known in fields(Flags)}
    flags = Flags(**{name: value for name, value in arguments.items() if name in known})
    config = getattr(arguments.get("_"), "config", None)
    if getattr(config, "prefix", "") != "fabric":
        return flags
    names = tuple(name.strip() for name in flags.hosts.split(",") if name.strip())
    return replace(flags, fab_hosts=names, login=Login.from_config(config))
