"""The words that options take: hosts, roles, settings, runs, resources."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from rolecall.cli.again import FAILED
from rolecall.cli.completion import SHELLS
from rolecall.cli.completion.words import Candidate
from rolecall.cli.project import Project
from rolecall.errors import RolecallError

if TYPE_CHECKING:
    from rolecall.inventory import Inventory
    from rolecall.settings import Settings

#: Seconds that an inventory which is a program has to answer; a user waits for it.
_PATIENCE = 2.0

#: Arguments whose value is a file or a directory.
_FILES = frozenset(
    {
        "base",
        "config",
        "from",
        "identity",
        "inventory",
        "junit",
        "out",
        "output",
        "questions",
        "render",
        "search-root",
        "ssh-config",
        "wheels",
    }
)

#: Runs that are offered, the newest first.
_RUNS = 20

# What separates the parts of a pattern of hosts, and what may stand in front of one.
_BETWEEN = ",:&!"

Completer = Callable[[str, Mapping[str, str]], Iterable[Candidate]]


@dataclass(frozen=True)
class ProjectValues:
    """What a project's options may be given."""

    project: Project

    def of(self, name: str, typed: str, given: Mapping[str, str]) -> Iterable[Candidate] | None:
        """The words for argument ``name``; None: files. An inventory with a mistake has none."""
        name = name.replace("_", "-")
        if name in _FILES:
            return None
        known: dict[str, Completer] = {
            "hosts": self._pattern,
            "host": self._host,
            "canary": self._host,
            "group": self._group,
            "recipe": self._group,
            "tags": self._roles,
            "skip-tags": self._roles,
            "role": self._role,
            "set": self._settings,
            "run": self._run,
            "against": self._run,
            "resource": self._resource,
            "shell": lambda typed, given: [Candidate(shell) for shell in SHELLS],
        }
        completer = known.get(name)
        if completer is None:
            return ()
        try:
            return list(completer(typed, given))
        except (RolecallError, OSError, ValueError):
            return ()

    def _inventory(self, given: Mapping[str, str]) -> Inventory:
        from rolecall.inventory import load_inventory

        named = given.get("inventory")
        path = Path(named).expanduser() if named else self.project.root / "inventory"
        return load_inventory(path, _PATIENCE)

    def _pattern(self, typed: str, given: Mapping[str, str]) -> Iterator[Candidate]:
        """The last part of a pattern of hosts."""
        cut = max(typed.rfind(char) for char in _BETWEEN) + 1
        front, part = typed[:cut], typed[cut:]
        if (part.startswith("@") or not part) and self.project.failed.exists():
            yield Candidate(f"{front}{FAILED}", "hosts that the last run left to be done")
        inventory = self._inventory(given)
        for name in inventory.hosts:
            yield Candidate(f"{front}{name}", "host")
        for name in inventory.groups:
            yield Candidate(f"{front}{name}", "group")

    def _host(self, typed: str, given: Mapping[str, str]) -> Iterator[Candidate]:
        return (Candidate(name, "host") for name in self._inventory(given).hosts)

    def _group(self, typed: str, given: Mapping[str, str]) -> Iterator[Candidate]:
        return (Candidate(name, "group") for name in self._inventory(given).groups)

    def _roles(self, typed: str, given: Mapping[str, str]) -> Iterator[Candidate]:
        """Roles separated by commas; each once."""
        front, comma, _ = typed.rpartition(",")
        named = {name.strip() for name in front.split(",")}
        for role in self.project.roles:
            if role not in named:
                yield Candidate(f"{front}{comma}{role}", "role")

    def _role(self, typed: str, given: Mapping[str, str]) -> Iterator[Candidate]:
        yield Candidate("rolecall", "the runner's own settings")
        for role in self.project.roles:
            yield Candidate(role, "role")

    def _settings(self, typed: str, given: Mapping[str, str]) -> Iterator[Candidate]:
        """First the role, then its settings, then what one may be, where that is a choice."""
        known = settings_of(self.project)
        name, equals, _ = typed.partition("=")
        if equals:
            for choice in known.get(name, ((), ""))[0]:
                yield Candidate(f"{name}={choice}")
        elif "." not in name:
            for role in dict.fromkeys(key.partition(".")[0] for key in known):
                yield Candidate(f"{role}.", "role")
        else:
            for key, (_, about) in known.items():
                yield Candidate(f"{key}=", about)

    def _run(self, typed: str, given: Mapping[str, str]) -> Iterator[Candidate]:
        from rolecall.output.runlog import runs

        if not typed or "last".startswith(typed):
            yield Candidate("last", "the newest run")
        for run in runs(self.project.state / "runs")[:_RUNS]:
            hosts = ", ".join(run.hosts[:3]) + (" …" if len(run.hosts) > 3 else "")
            yield Candidate(run.run, f"{run.task} on {hosts}")

    def _resource(self, typed: str, given: Mapping[str, str]) -> Iterator[Candidate]:
        """The resources of the newest run on record that had any."""
        from rolecall.output.runlog import runs

        for run in runs(self.project.state / "runs")[:_RUNS]:
            found: dict[str, str] = {}
            for line in run.path.read_text(encoding="ascii", errors="replace").splitlines():
                if line.startswith('{"event": "resource"'):
                    event = json.loads(line)
                    if event["role"]:
                        found.setdefault(event["id"], event["role"])
            if found:
                for id_, role in found.items():
                    yield Candidate(id_, f"role {role}")
                return


#: Of each setting, ``role.key``: what it may be, where that is a choice; and what it means.
Known = dict[str, tuple[tuple[str, ...], str]]


def settings_of(project: Project) -> Known:
    """Every setting of a project's roles.

    To load the roles takes longer than a user waits for Tab, so what they said is kept, for as
    long as no file of theirs has changed.
    """
    stamp = _stamp(project)
    path = project.state / "completion.json"
    with suppress(OSError, ValueError, TypeError, AttributeError):
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["stamp"] == stamp:
            return {key: (tuple(choices), about) for key, (choices, about) in kept["known"].items()}
    known: Known = {}
    for role, settings in project.setting_types().items():
        known.update(_flat(role, settings))
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.{os.getpid()}")
        beside.write_text(json.dumps({"stamp": stamp, "known": known}), encoding="utf-8")
        os.replace(beside, path)
    return known


def _stamp(project: Project) -> list[int]:
    """What changes with any file that declares settings: the newest time, and how many."""
    files = [Path(__file__), Path(__file__).parents[2] / "settings.py"]
    files += (project.root / "roles").rglob("*.py")
    return [len(files), max(file.stat().st_mtime_ns for file in files)]


def _flat(name: str, settings: type[Settings]) -> Iterator[tuple[str, tuple[tuple[str, ...], str]]]:
    """Each setting, and those within settings, by its name with dots."""
    from rolecall.cli.show_settings import field_texts
    from rolecall.settings import Settings

    texts = field_texts(settings)
    for field, info in settings.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, Settings):
            yield from _flat(f"{name}.{field}", kind)
        else:
            about = texts.get(field, "").partition("\n")[0].partition(". ")[0].rstrip(".")
            yield f"{name}.{field}", (tuple(_choices(kind)), about)


def _choices(kind: Any) -> list[str]:
    if kind is bool:
        return ["true", "false"]
    if get_origin(kind) is Literal:
        return [str(value) for value in get_args(kind)]
    return [choice for part in get_args(kind) for choice in _choices(part)]
