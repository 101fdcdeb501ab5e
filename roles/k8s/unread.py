"""Settings whose secrets are left where they are: enough to say what they come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.inventory import Inventory
from rolecall.settings import Override, Settings, resolve
from rolecall.yamlfile import SecretReference

#: What stands for a secret that nobody has read.
UNREAD = "unread"


def unread_settings(
    project: Project, inventory: Inventory, name: str, flags: Flags
) -> dict[str, Settings]:
    """The settings of every role on one host, with :data:`UNREAD` in place of each secret.

    Raises:
        ConfigError: a setting or an option is wrong.
    """
    layers = [
        replace(layer, variables=_unread(layer.variables)) for layer in inventory.layers(name)
    ]
    given = [Override.parse(text) for text in flags.set]
    overrides = [replace(override, value=_unread(override.value)) for override in given]
    resolved = resolve(project.setting_types(), layers, overrides)
    return {role: value.settings for role, value in resolved.items()}


def _unread(value: Any) -> Any:
    if isinstance(value, SecretReference):
        return UNREAD
    if isinstance(value, Mapping):
        return {key: _unread(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_unread(inner) for inner in value]
    return value
