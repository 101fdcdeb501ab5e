"""Read an inventory in INI: ``[group]``, ``[group:children]`` and ``[group:vars]``."""

from __future__ import annotations

import ast
import re
import shlex
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rolecall.errors import ConfigError
from rolecall.inventory.build import Builder
from rolecall.inventory.model import Layer, Place
from rolecall.yamlfile import Unsafe

_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_CHILD = re.compile(r"([^:\]\s]+)\s*(?:#.*)?")
_KINDS = ("hosts", "children", "vars")


@dataclass
class _Reader:
    """One file's reading: which section a line is in, and what is still to be declared."""

    builder: Builder
    group: str = "ungrouped"
    kind: str = "hosts"
    #: Groups that were named as children before their own section: by whom, and where.
    parents: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    #: Groups that have no section of hosts or children so far, and where they were named.
    undeclared: dict[str, str] = field(default_factory=dict)

    def line(self, text: str, where: str) -> None:
        section = _SECTION.fullmatch(text)
        if section:
            self.section(section[1], section[2] or "hosts", where)
        elif text.startswith("[") and text.endswith("]"):
            raise ConfigError(f"{where}: {text} is not the head of a section", _HINT)
        elif self.kind == "hosts":
            self.hosts(text, where)
        elif self.kind == "vars":
            self.variable(text, where)
        else:
            self.child(text, where)

    def section(self, group: str, kind: str, where: str) -> None:
        if kind not in _KINDS:
            raise ConfigError(f"{where}: a group has no section {kind!r}", _HINT)
        self.group, self.kind = group, kind
        if kind == "vars":  # which alone does not declare it
            if group not in self.builder.groups:
                self.undeclared.setdefault(group, where)
                self.builder.group(group)
            return
        self.builder.group(group)
        self.undeclared.pop(group, None)
        for parent, place in self.parents.pop(group, []):
            self.builder.child(parent, group, place)

    def hosts(self, text: str, where: str) -> None:
        if text.startswith("---"):
            raise ConfigError(
                f"{where}: --- is how YAML begins, and this file is read as INI",
                "name the file .yaml, or mend what is not YAML in it",
            )
        try:
            entry, *assignments = shlex.split(text, comments=True)
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from error
        variables: dict[str, Any] = {}
        for assignment in assignments:
            name, separator, value = assignment.partition("=")
            if not separator:
                raise ConfigError(
                    f"{where}: after a host come its variables as name=value, not {assignment!r}",
                    "a value with spaces is quoted: name='a b'",
                )
            variables[name] = typed(value, where)
        layer = Layer(Place(where), (), variables) if variables else None
        self.builder.entry(self.group, entry, layer, where)

    def variable(self, text: str, where: str) -> None:
        name, separator, value = (part.strip() for part in text.partition("="))
        if not separator:
            raise ConfigError(f"{where}: a variable is set as name=value, not {text!r}")
        layer = Layer(Place(where), (), {name: typed(value, where)})
        self.builder.group_variables(self.group, layer)

    def child(self, text: str, where: str) -> None:
        match = _CHILD.fullmatch(text)
        if not match:
            raise ConfigError(f"{where}: {text!r} is not the name of a group")
        child = match[1]
        if child in self.builder.groups:
            self.builder.child(self.group, child, where)
        else:
            self.parents.setdefault(child, []).append((self.group, where))
            self.undeclared.setdefault(child, where)

    def end(self) -> None:
        for group, where in self.undeclared.items():
            raise ConfigError(
                f"{where}: group {group} has no section of its own", f"add [{group}] to the file"
            )


_HINT = "sections are [group], [group:children] and [group:vars]"


def read_ini(builder: Builder, path: Path, text: str) -> None:
    """Add the groups and hosts of an INI file to the inventory.

    Raises:
        ConfigError: a line is not what its section holds, with file and line.
    """
    reader = _Reader(builder)
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped and stripped[0] not in "#;":
            reader.line(stripped, f"{path}:{number}")
    reader.end()


def typed(text: str, where: str) -> Any:
    """A value of an INI file: a Python literal where it is one, else text.

    So ``8`` is a number, ``True`` a truth value and ``true`` a word, as in Ansible.

    Raises:
        ConfigError: it is a literal that cannot be, such as a mapping with a list for a key.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about backslashes in somebody's text
            value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    except (TypeError, MemoryError, RecursionError) as error:
        raise ConfigError(f"{where}: the value {text!r} cannot be read: {error}") from error
    return text if value is ... else _plain(value)


def _plain(value: Any) -> Any:
    """The value in terms of JSON."""
    if isinstance(value, dict):
        return {_plain(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, set):
        return [_plain(inner) for inner in sorted(value, key=repr)]
    if isinstance(value, tuple):
        return tuple(_plain(inner) for inner in value)
    if isinstance(value, bytes):
        return Unsafe(value.decode("utf-8", "backslashreplace"))  # as Ansible marks it
    return str(value) if isinstance(value, complex) else value
