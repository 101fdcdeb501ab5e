"""The options that every converging task has, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rolecall.errors import ConfigError

HELP = {
    "check": "Predict what would change; write nothing.",
    "diff": "Show what changes line by line.",
    "tags": "Only these roles, separated by commas.",
    "skip_tags": "All roles but these, separated by commas.",
    "set": "Override a setting: --set engine.max_batch_size=8 (any number of times).",
    "hosts": "Which hosts: a pattern of the inventory. Default: localhost.",
    "inventory": "Another inventory: a file, a folder, a program, or hosts as 'a,b'.",
    "json": "One event a line, as JSON.",
    "verbose": "Show all output of what is applied, and every resource.",
    "lock_wait": "How long to wait for another run on the same host, such as 30s or 10m.",
    "detailed_exitcode": "End with 2 when something changed or would change, else 0.",
}

SHORT = {"verbose": "v", "follow": "f"}


@dataclass(frozen=True)
class Flags:
    """The options of one invocation."""

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
    for tag in sorted(tags - set(names)):
        raise ConfigError(f"{option} {tag}: there is no role {tag}", nearest(tag, names))
    return tags


def from_arguments(arguments: dict[str, Any]) -> Flags:
    """The flags among a task's arguments."""
    return Flags(
        **{name: arguments[name] for name in Flags.__dataclass_fields__ if name in arguments}
    )
