"""``settings [ROLE]``: every setting, its type, its value, its default, where it came from."""

from __future__ import annotations

from typing import Any

from pydantic.fields import FieldInfo

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.errors import ConfigError
from rolecall.settings import Resolved, nearest


def show_settings(project: Project, role: str, flags: Flags) -> None:
    """Print the settings of one role, or of all, for the chosen hosts.

    Raises:
        ConfigError: there is no such role.
    """
    for host, settings in project.resolved(flags).items():
        if role and role not in settings:
            raise ConfigError(f"there is no role {role}", nearest(role, settings))
        for name, resolved in settings.items():
            if role in {"", name}:
                _print_role(host, name, resolved)


def _print_role(host: str, name: str, resolved: Resolved) -> None:
    fields = type(resolved.settings).model_fields
    print(f"{name}  (on {host})" + ("" if fields else ": no settings"))
    for field, info in fields.items():
        value = getattr(resolved.settings, field)
        origin = resolved.origin((field,))
        default = "required" if info.is_required() else f"default {_show(_default(info))}"
        print(f"  {name}.{field} = {_show(value)}")
        source = "" if origin == "default" else f"; set in {origin}"
        print(f"      {_type(info)}, {default}{source}")
        for line in (info.description or "").splitlines():
            print(f"      {line}")
    print()


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
