"""Roles: named pure functions from a host's facts and settings to resources."""

from __future__ import annotations

import importlib
import inspect
import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, Literal, TypeVar

from rolecall.errors import ConfigError
from rolecall.facts import Facts
from rolecall.resource import Resource, Skip
from rolecall.settings import Settings

S = TypeVar("S", bound=Settings)


#: What a role is for, and what a target is: a machine with a shell, or a cluster with an API.
Kind = Literal["host", "cluster"]


@dataclass(frozen=True)
class Host:
    """A host as a role function sees it: what it is like, and the settings that hold for it.

    ``kind`` is ``cluster`` for a namespace of a cluster, which has objects instead of files.
    """

    name: str
    facts: Facts
    all_settings: Mapping[str, Settings]
    kind: Kind = "host"

    def path(self, *parts: str) -> str:
        """A path below Rolecall's own directory on the host."""
        return posixpath.join(self.facts.state_dir, *parts)

    def expand(self, path: str) -> str:
        """``path`` with a leading ``~`` replaced by the user's home directory."""
        if path == "~" or path.startswith("~/"):
            return self.facts.home + path[1:]
        return path

    def fact(self, name: str) -> str:
        """A fact that a role of the project brings; empty where it is not known."""
        return self.facts.extra.get(name, "")

    def settings(self, type_: type[S]) -> S:
        """The settings of another role, by their type.

        Raises:
            ConfigError: no loaded role has settings of that type.
        """
        for settings in self.all_settings.values():
            if isinstance(settings, type_):
                return settings
        raise ConfigError(f"no role with settings {type_.__name__} is loaded")


RoleFunction = Callable[[Host, S], Iterable[Resource | Skip]]
Notes = Callable[[Host], Iterable[str]]


@dataclass(frozen=True)
class Role(Generic[S]):
    """A role: its name, its settings' type, its function, and the facts it brings.

    Attributes:
        facts: shell text that prints facts with ``rc_field``. Every run asks for them in its
            first exchange, whichever roles it converges, so they have to be cheap, and the same
            from one run to the next.
        notes: what a host's settings come to, in lines that ``./inv settings`` shows below them.
        on: what the role is for; on targets of the other kind it declares nothing.
    """

    name: str
    settings: type[S]
    function: RoleFunction[S]
    facts: str = ""
    notes: Notes | None = None
    on: Kind = "host"

    def resources(self, host: Host) -> list[Resource | Skip]:
        """What the role declares for ``host``, in order.

        Raises:
            ConfigError: it declares something that is no resource.
        """
        declared = self.function(host, host.settings(self.settings))
        if declared is None:
            raise ConfigError(f"role {self.name} returns nothing", "yield resources in it")
        return [self._resource(item) for item in declared]

    def _resource(self, item: object) -> Resource | Skip:
        if isinstance(item, (Resource, Skip)):
            return item
        hint = "a list of resources is declared with yield from" if isinstance(item, list) else ""
        raise ConfigError(
            f"role {self.name} declares a {type(item).__name__}, which is no resource",
            hint or "yield resources, such as File(...), or Skip(...)",
        )


def role(
    settings: type[S], facts: str = "", notes: Notes | None = None, on: Kind = "host"
) -> Callable[[RoleFunction[S]], Role[S]]:
    """Make a role of the function below; its name is the role's. The rest: see :class:`Role`.

    Raises:
        ConfigError: it is no plain function of a host and settings.
    """

    def decorate(function: RoleFunction[S]) -> Role[S]:
        _check(function)
        return Role(function.__name__, settings, function, facts, notes, on)

    return decorate


def _check(function: Callable[..., object]) -> None:
    try:
        inspect.signature(function).bind("host", "settings")
        plain = not (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function))
    except TypeError:
        plain = False
    if not plain:
        name = function.__name__
        raise ConfigError(
            f"role {name} is no plain function of a host and its settings",
            f"write def {name}(host, settings):",
        )


@dataclass(frozen=True)
class Roles:
    """The roles of a project: one package each under ``folder``, in the order of a deploy."""

    folder: Path
    names: tuple[str, ...]

    def load(self, names: Sequence[str] | None = None) -> list[Role[Any]]:
        """Import roles, all or those named, in the order of the deploy.

        Raises:
            ConfigError: a role's package does not define it.
        """
        loaded: list[Role[Any]] = []
        for name in self.names if names is None else names:
            module = self._import(name)
            found = getattr(module, name, None)
            if not isinstance(found, Role):
                raise ConfigError(
                    f"{self.folder / name}/role.py defines no role named {name}",
                    f"decorate a function {name}(host, settings) with @role(SettingsType)",
                )
            loaded.append(found)
        return loaded

    def _import(self, name: str) -> ModuleType:
        path = f"{self.folder.name}.{name}.role"
        try:
            return importlib.import_module(path)
        except ModuleNotFoundError as error:
            if not error.name or not f"{path}.".startswith(f"{error.name}."):
                raise  # something that the role itself imports
            raise ConfigError(
                f"there is no role {name}: {self.folder / name}/role.py cannot be found",
                "make it, with an __init__.py beside it and one above, or take it off tasks.py",
            ) from error
