"""``settings [ROLE]``: every setting, its type, its value, its default, where it came from."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from pydantic.fields import FieldInfo

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.errors import ConfigError
from rolecall.role import Host
from rolecall.settings import KeyPath, Resolved, RunnerSettings, Settings, nearest


def show_settings(project: Project, role: str, flags: Flags) -> None:
    """Print the settings of one role, or of all, for the chosen hosts.

    Raises:
        ConfigError: there is no such role.
    """
    roles = {loaded.name: loaded for loaded in project.load_roles()}
    for host, settings in project.resolved(flags).items():
        if role and role not in settings:
            raise ConfigError(f"there is no role {role}", nearest(role, settings))
        known = _known(project, host, settings)
        for name, resolved in settings.items():
            if role in {"", name}:
                notes = roles[name].notes if name in roles else None
                _print_role(host, name, resolved, notes(known) if known and notes else ())


def _known(project: Project, name: str, settings: Mapping[str, Resolved]) -> Host | None:
    """The host as the last run found it, since settings are shown without asking it; or None."""
    values = {role: resolved.settings for role, resolved in settings.items()}
    runner = values["rolecall"]
    assert isinstance(runner, RunnerSettings)
    facts = project.facts_cache().load(name, runner.home)
    return Host(name, facts, values) if facts else None


def _print_role(host: str, name: str, resolved: Resolved, notes: Iterable[str]) -> None:
    fields = type(resolved.settings).model_fields
    print(f"{name}  (on {host})" + ("" if fields else ": no settings"))
    _print_fields(name, resolved.settings, resolved, ())
    for line in notes:
        print(f"  {line}")
    print()


def _print_fields(name: str, settings: Settings, resolved: Resolved, at: KeyPath) -> None:
    """Each setting below ``at``; settings within settings one by one."""
    texts = field_texts(type(settings))
    for field, info in type(settings).model_fields.items():
        value = getattr(settings, field)
        if isinstance(value, Settings):
            print(f"  {name}.{field}:")
            _print_text(texts.get(field, ""))
            _print_fields(f"{name}.{field}", value, resolved, (*at, field))
            continue
        origin = _origin(resolved, (*at, field))
        default = "required" if info.is_required() else f"default {_show(_default(info))}"
        print(f"  {name}.{field} = {_show(value)}")
        source = "" if origin == "default" else f"; set in {origin}"
        print(f"      {_type(info)}, {default}{source}")
        _print_text(texts.get(field, ""))


def _origin(resolved: Resolved, key: KeyPath) -> str:
    """Where a value came from; of settings within settings, only where it was set itself."""
    set_itself = any(known[: len(key)] == key for known in resolved.origins)
    return resolved.origin(key) if len(key) == 1 or set_itself else "default"


def _print_text(text: str) -> None:
    for line in text.splitlines():
        print(f"      {line}")


def field_texts(settings: type[Settings]) -> dict[str, str]:
    """The string under each field.

    Read here rather than by pydantic (``use_attribute_docstrings``), which parses the source of
    every type as it is defined: each start of ``./inv`` would pay for it.
    """
    texts: dict[str, str] = {}
    for owner in reversed(settings.__mro__):
        if owner is Settings or not issubclass(owner, Settings):
            continue
        (body,) = ast.parse(inspect.cleandoc("\n" + inspect.getsource(owner))).body
        assert isinstance(body, ast.ClassDef)
        for above, below in pairwise(body.body):
            if not (isinstance(above, ast.AnnAssign) and isinstance(above.target, ast.Name)):
                continue
            match below:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    texts[above.target.id] = inspect.cleandoc(text)
    return texts


def _default(info: FieldInfo) -> Any:
    return info.get_default(call_default_factory=True)


def _type(info: FieldInfo) -> str:
    annotation = info.annotation
    if isinstance(annotation, type) and not getattr(annotation, "__args__", None):
        return annotation.__name__
    return str(annotation).replace("typing.", "")


def _show(value: Any) -> str:
    if value == "":
        return '""'
    return str(value)
